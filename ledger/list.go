package ledger

// Page says which part of a list is wanted.
type Page struct {
	Cursor string // of the page before; empty for the first
	Limit  int    // most items, 1 to MaxPageLimit; 0 is DefaultPageLimit
}

// Sizes of pages.
const (
	DefaultPageLimit = 50
	MaxPageLimit     = 200
)

// List is a page of a list, newest first.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"` // the cursor of the next page, empty at the end
}
