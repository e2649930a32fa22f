// Package httpapi serves the ledger over HTTP: JSON under /v1, its OpenAPI description, a page that renders it, metrics
// and the two health checks.
//
// Every request to /v1 carries an API key. Every POST carries an Idempotency-Key, under which it has one effect however
// often it is sent. Edits carry the ETag of what they change in If-Match. Errors are problem details (RFC 9457) whose
// types are in [Problems].
package httpapi
