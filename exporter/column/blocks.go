package column

// Blocks holds the rows of records that were written with one layout, which may be that of another version. It is not
// safe for concurrent use.
type Blocks struct{}

// NewBlocks returns empty blocks for records of a layout. It fails if the layout has a type that this version does not
// know.
func NewBlocks(layout []byte) (*Blocks, error) { panic("BUG: not written") }

// Append adds the rows of a record. On an error, which wraps [ErrRecord], nothing is added. Nothing of data is referred
// to afterwards.
func (b *Blocks) Append(data []byte) error { panic("BUG: not written") }

// AppendTable is Append for the rows of one table. It checks only those.
func (b *Blocks) AppendTable(data []byte, table string) error { panic("BUG: not written") }

// Tables returns the tables of the layout in order. Not all of them have rows.
func (b *Blocks) Tables() []string { panic("BUG: not written") }

// Rows returns how many rows of a table there are, 0 for a table that the layout does not have.
func (b *Blocks) Rows(table string) int { panic("BUG: not written") }

// Size returns about how many bytes the rows of a table take in Native format. It is never much too low.
func (b *Blocks) Size(table string) int { panic("BUG: not written") }

// Columns returns the columns that the block of a table has, in order; nil for a table that the layout does not have.
func (b *Blocks) Columns(table string) []Column { panic("BUG: not written") }

// AppendNative appends the block of a table in Native format to dst. The table must be one of the layout.
func (b *Blocks) AppendNative(dst []byte, table string) []byte { panic("BUG: not written") }

// Reset empties the blocks and keeps their memory for the next rows, unless that is very much.
func (b *Blocks) Reset() { panic("BUG: not written") }
