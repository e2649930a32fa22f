package column

import (
	"encoding/json"
	"errors"
	"fmt"
)

// TableLayout names a table and the columns of its blocks, in order.
type TableLayout struct {
	Table   string   `json:"table"`
	Columns []Column `json:"columns"`
}

// Layout describes the tables and columns of the records that [Set.AppendRecord] writes, as JSON. It is always the same
// for one version of the program. Records can be read only with the layout that they were written with, so it is kept
// beside them.
func Layout() []byte {
	s := NewSet()
	tables := make([]TableLayout, TableCount)
	for t := range TableCount {
		tables[t].Table = t.String()
		for _, f := range s.block(t).fields {
			tables[t].Columns = append(tables[t].Columns, f.Column)
		}
	}
	text, err := json.Marshal(tables)
	if err != nil {
		panic("BUG: layout is not JSON: " + err.Error())
	}
	return text
}

// parseLayout reads what [Layout] wrote, in this version or another.
func parseLayout(text []byte) ([]TableLayout, error) {
	var tables []TableLayout
	if err := json.Unmarshal(text, &tables); err != nil {
		return nil, fmt.Errorf("read layout: %w", err)
	}
	if len(tables) == 0 {
		return nil, errors.New("read layout: it has no tables")
	}
	names := make(map[string]bool, len(tables))
	for _, t := range tables {
		if t.Table == "" || names[t.Table] {
			return nil, fmt.Errorf("read layout: table %q has no name or is there twice", t.Table)
		}
		names[t.Table] = true
		if len(t.Columns) == 0 {
			return nil, fmt.Errorf("read layout: table %s has no columns", t.Table)
		}
		columns := make(map[string]bool, len(t.Columns))
		for _, c := range t.Columns {
			if c.Name == "" || columns[c.Name] {
				return nil, fmt.Errorf("read layout: column %q of %s has no name or is there twice", c.Name, t.Table)
			}
			columns[c.Name] = true
		}
	}
	return tables, nil
}
