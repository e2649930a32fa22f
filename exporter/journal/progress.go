package journal

// Range is a range of records of a segment by their index: From is in it, To is not.
type Range struct{ From, To int }

// Progress is what is known of a segment that is not stored completely.
type Progress struct {
	Done  []string           // Tables that need nothing more.
	Split map[string][]Range // Tables whose block was split, with the parts, which never change again.
}
