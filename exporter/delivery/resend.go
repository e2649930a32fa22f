package delivery

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/agenttrail/agenttrail/exporter/column"
)

// Resender stores blocks that were written down in the format Native, such as dead letters, one at a time and with the
// same settings as a [Writer].
type Resender struct {
	in       *inserter
	database string
}

// NewResender needs the settings that say where ClickHouse is.
func NewResender(s Settings) (*Resender, error) {
	s.Compression = CompressionNone
	s = s.withDefaults()
	in, err := newInserter(&s)
	if err != nil {
		return nil, err
	}
	return &Resender{in: in, database: s.Database}, nil
}

// Resend stores a block of a table whose columns have these names, in this order, once. A block that is stored already
// under the same token is not stored again, and that is no error. An error of ClickHouse is a [*Failure].
func (r *Resender) Resend(ctx context.Context, table string, columns []string, token string, native []byte) error {
	list := make([]column.Column, len(columns))
	for i, name := range columns {
		list[i].Name = name
	}
	if err := r.in.insert(ctx, insertStatement(r.database, table, list), token, int64(len(native)), func() io.ReadCloser { return io.NopCloser(bytes.NewReader(native)) }); err != nil {
		return fmt.Errorf("insert into %s: %w", table, err)
	}
	return nil
}
