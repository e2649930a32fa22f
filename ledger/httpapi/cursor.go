package httpapi

import "github.com/agenttrail/agenttrail/ledger"

// PageParams is what each list takes.
type PageParams struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many items a page has at most"`
	Cursor string `query:"cursor" maxLength:"1000" doc:"nextCursor of the page before; the other parameters must be the same"`
}

func (p PageParams) page() ledger.Page { return ledger.Page{Cursor: p.Cursor, Limit: p.Limit} }

// pageOf is one page of a list, newest first.
type pageOf[T any] struct {
	Items []T `json:"items" doc:"Newest first"`
	// NextCursor is empty on the last page.
	NextCursor string `json:"nextCursor,omitempty" doc:"Pass it as cursor to get the next page; absent on the last one"`
}
