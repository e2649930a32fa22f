package httpapi

import (
	"cmp"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

var detailsType = reflect.TypeFor[Details]()

// register adds all operations, in the order of the page.
func (a *API) register() {
	a.registerRuns()
	a.registerApprovals()
	a.registerMandates()
	a.registerGrants()
	a.registerPayments()
	a.registerUsers()
	a.registerInteractions()
	a.registerAgents()
	a.registerStatistics()
	a.registerReconciliation()
	a.registerCoverage()
	a.registerKeys()
	a.registerAudit()
}

// about is the introduction of the description.
const about = `Authorizes runs of AI agents against credits and mandates, settles them, and tells who changed what.

Send an API key as Authorization: Bearer. Credits are decimal strings such as "1.5", never numbers; amountCents are whole minor units. Every POST needs an Idempotency-Key: sent again with the same key, a request has no second effect and gets the same answer, with Idempotency-Replayed: true. An answer to an invalid request is not kept. Edits need If-Match with the ETag that was read. Lists are newest first; pass nextCursor as cursor.

Errors are application/problem+json (RFC 9457). Act on the member type; each type is described at its own address. After 429 and 503, and 409 of the type request-in-progress, wait for Retry-After seconds and send the same request with the same key.`

// describe adds to the description what huma does not know.
func describe(doc *huma.OpenAPI) {
	type problem struct {
		Type   string `json:"type"`
		Status int    `json:"status"`
		Title  string `json:"title"`
		Help   string `json:"help"`
	}
	list := make([]problem, 0, len(problems))
	for _, p := range problems {
		list = append(list, problem{p.Type(), p.Status, p.Title, p.Help})
	}
	doc.Extensions = map[string]any{"x-problems": list}
	schemas := doc.Components.Schemas.Map()
	schemas["Agent"].Properties["version"] = &huma.Schema{AnyOf: []*huma.Schema{schemas["Agent"].Properties["version"], {Type: "null"}}}
	for name, schema := range schemas {
		for property, s := range schema.Properties {
			if s.Description == "" {
				s.Description = cmp.Or(meanings[name+"."+property], meanings[property])
			}
			if values := enumerations[name+"."+property]; values != nil {
				s.Enum = values
			}
		}
	}
}
