package record

// Attr is one attribute.
type Attr struct {
	Key   string
	Value Value
}

// Attrs is a list of attributes in the order in which they arrived.
type Attrs []Attr

// KeyLengths returns a hash of the lengths of the keys. It is quick to compute, and differs for most lists of keys that do.
func (a Attrs) KeyLengths() uint64 {
	sum := uint64(len(a))
	for i := range a {
		sum = sum*31 + uint64(len(a[i].Key))
	}
	return sum
}
