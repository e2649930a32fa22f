package httpapi

import (
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"

	"github.com/agenttrail/agenttrail/ledger"
)

//go:embed page
var pageFiles embed.FS

// pagePolicy lets the page load only what this service serves.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// servePage serves the readable page below /docs/ and a page per type of problem.
func servePage(mux *http.ServeMux) {
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(fmt.Sprintf("BUG: the page is not embedded: %v", err))
	}
	static := http.StripPrefix("/docs/", http.FileServerFS(files))
	mux.HandleFunc("GET /docs/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", pagePolicy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		static.ServeHTTP(w, r)
	})
	mux.Handle("GET /{$}", http.RedirectHandler("/docs/", http.StatusSeeOther))
	mux.HandleFunc("GET "+problemPath+"{code}", func(w http.ResponseWriter, r *http.Request) {
		p, ok := problemByCode(ledger.Code(r.PathValue("code")))
		if !ok {
			writeProblem(w, r, newProblem(ProblemNotFound, "there is no problem of this type"))
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", pagePolicy)
		_ = problemPage.Execute(w, p) // The client went away.
	})
}

var problemPage = template.Must(template.New("problem").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Title}}</title><link rel="stylesheet" href="/docs/page.css"></head>
<body><main><h2>{{.Title}}</h2><p><code>{{.Type}}</code>, status {{.Status}}</p><p>{{.Help}}</p><p><a href="/docs/">Ledger API</a></p></main></body></html>
`))
