package httpapi_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agenttrail/agenttrail/ledger/httpapi"
)

const documentHead = `# HTTP API of the ledger

<!-- Generated from the API's description and its tests by "make generate"; do not edit. -->

The service describes itself: /openapi.json (OpenAPI 3.1) for programs, /docs/ for people, and each problem at its own
address. This page lists what each operation answers to what is wrong; a test sends all of it. How the ledger works is in
[docs/ledger.md](ledger.md).

## Problems

Errors are application/problem+json (RFC 9457). Act on the member type, which is the address in the first column.

| type | status | meaning | what to do |
|---|---|---|---|
`

const documentRules = `
Any operation can answer request-timeout, request-in-progress (a POST), too-many-requests, temporarily-unavailable and
internal; they depend on other requests and are not listed below. A path that nothing is at is not-found, a method that a
path does not have is method-not-allowed.

Checks come in this order: the text of path and query, the path and method, the API key and its scopes, how much is in
progress, the Idempotency-Key, the body, each parameter and member (all that are wrong are reported at once), If-Match,
and then the state of what it is about.

## Operations
`

// writeDocument makes docs/api.md of what was found.
func writeDocument(d *description, found map[string][]finding) string {
	var doc strings.Builder
	doc.WriteString(documentHead)
	for _, p := range httpapi.Problems() {
		fmt.Fprintf(&doc, "| %s | %d | %s | %s |\n", p.Type(), p.Status, p.Title, p.Help)
	}
	doc.WriteString(documentRules)
	for _, op := range d.operations() {
		fmt.Fprintf(&doc, "\n### %s %s\n\n%s (`%s`). ", op.method, op.path, op.Summary, op.ID)
		if len(op.Scopes) > 0 {
			fmt.Fprintf(&doc, "Scope: %s.\n\n", strings.Join(op.Scopes, " or "))
		} else {
			doc.WriteString("Any key.\n\n")
		}
		doc.WriteString("| problem | input |\n|---|---|\n")
		for _, p := range httpapi.Problems() {
			var places []string
			whats := map[string][]string{}
			for _, f := range found[op.ID] {
				if f.problem != string(p.Code) {
					continue
				}
				if whats[f.where] == nil {
					places = append(places, f.where)
				}
				if !slices.Contains(whats[f.where], f.what) {
					whats[f.where] = append(whats[f.where], f.what)
				}
			}
			if len(places) == 0 {
				continue
			}
			inputs := make([]string, 0, len(places))
			for _, place := range places {
				inputs = append(inputs, place+": "+strings.Join(whats[place], ", "))
			}
			fmt.Fprintf(&doc, "| %d %s | %s |\n", p.Status, p.Code, strings.Join(inputs, "; "))
		}
	}
	return doc.String()
}
