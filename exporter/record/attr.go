package record

// Attr is one attribute.
type Attr struct {
	Key   string
	Value Value
}

// Attrs is a list of attributes in the order in which they arrived.
type Attrs []Attr
