package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/agenttrail/agenttrail/exporter/column"
)

// CheckSchema asks ClickHouse whether the database has all tables and columns that blocks have. The error says what is
// missing and what to do.
func (w *Writer) CheckSchema(ctx context.Context) error {
	text, err := w.in.ask(ctx, "SELECT table, name FROM system.columns WHERE database = "+quoteText(w.set.Database)+" FORMAT TabSeparated")
	if err != nil {
		return fmt.Errorf("check schema of %s: %w", w.set.Database, err)
	}
	have := map[string]bool{}
	for line := range strings.Lines(text) {
		table, name, _ := strings.Cut(strings.TrimSpace(line), "\t")
		have[table] = true
		have[table+"."+name] = true
	}
	var missing []string
	for t := range column.TableCount {
		if !have[t.String()] {
			missing = append(missing, "table "+t.String())
			continue
		}
		for _, c := range t.Columns() {
			if !have[t.String()+"."+c.Name] {
				missing = append(missing, "column "+t.String()+"."+c.Name)
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	const most = 6
	if n := len(missing); n > most {
		missing = append(missing[:most:most], fmt.Sprintf("and %d more", n-most))
	}
	return errors.New("check schema of " + w.set.Database + ": missing are " + strings.Join(missing, ", ") + ": " + adviceMigrate)
}

// quoteText quotes a string of ClickHouse's SQL.
func quoteText(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
