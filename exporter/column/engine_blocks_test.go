package column_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/exporter/column"
)

// requireSameRows compares some columns of two tables, as ClickHouse has them.
func requireSameRows(t *testing.T, s server, columns, table, other string) {
	t.Helper()
	for _, q := range []string{
		"SELECT " + columns + " FROM " + table + " EXCEPT SELECT " + columns + " FROM " + other,
		"SELECT " + columns + " FROM " + other + " EXCEPT SELECT " + columns + " FROM " + table,
	} {
		var differ uint64
		require.NoError(t, s.conn.QueryRow(t.Context(), "SELECT count() FROM ("+q+")").Scan(&differ))
		require.Zero(t, differ, q)
	}
}

func (s server) count(t *testing.T, table string) (n uint64) {
	t.Helper()
	require.NoError(t, s.conn.QueryRow(t.Context(), "SELECT count() FROM "+table).Scan(&n))
	return n
}

func TestRecordsOfAnOlderLayoutAreStored(t *testing.T) {
	t.Parallel()
	s, direct := setup(t, "column_older"), setup(t, "column_older_direct")
	require.NoError(t, s.conn.Exec(t.Context(), "CREATE TABLE FormerLog (message String, id UUID, metadata Map(LowCardinality(String), String), "+
		"level Enum8('debug' = 1, 'info' = 2, 'warn' = 3, 'error' = 4)) ENGINE = MergeTree ORDER BY id"))
	// Columns are missing, also the first of a nested structure, and the others stand in another order.
	without := func(table column.Table, names ...string) column.TableAs {
		columns := slices.DeleteFunc(table.Columns(), func(c column.Column) bool { return slices.Contains(names, c.Name) })
		slices.Reverse(columns)
		return column.TableAs{TableLayout: column.TableLayout{Table: table.String(), Columns: columns}, From: table}
	}
	former := column.TableAs{TableLayout: column.TableLayout{Table: "FormerLog"}, From: column.TableAgentLog}
	for _, c := range column.TableAgentLog.Columns() {
		if slices.Contains([]string{"message", "id", "metadata", "level"}, c.Name) {
			former.Columns = append(former.Columns, c)
		}
	}
	require.Len(t, former.Columns, 4)
	older := []column.TableAs{
		without(column.TableSystemMetrics, "min", "bounds", "attributes"),
		former,
		without(column.TableSpan, "tool", "cost", "events.timestamp", "links.attributes"),
		without(column.TableAgentExecution, "priceVersion", "attributes"),
	}
	var layout []column.TableLayout
	for _, o := range older {
		layout = append(layout, o.TableLayout)
	}
	text, err := json.Marshal(layout)
	require.NoError(t, err)
	blocks, err := column.NewBlocks(text)
	require.NoError(t, err)
	const requests, rows = 3, 20
	all := column.NewSet()
	for r := range requests {
		set := column.NewSet()
		for i := range rows {
			column.AddSample(set, r*rows+i)
		}
		require.NoError(t, blocks.Append(column.AppendRecordAs(nil, set, older)))
		for table := range column.TableCount {
			all.Merge(table, set)
		}
	}
	require.Equal(t, []string{"SystemMetrics", "FormerLog", "Span", "AgentExecution"}, blocks.Tables())
	for _, o := range older {
		require.Equal(t, requests*rows, blocks.Rows(o.Table))
		s.insertBlock(t.Context(), t, o.Table, blocks.Columns(o.Table), blocks.AppendNative(nil, o.Table))
		direct.insert(t.Context(), t, all, o.From)
		require.Equal(t, uint64(requests*rows), s.count(t, o.Table))
		requireSameRows(t, s, names(o.Columns), s.database+"."+o.Table, direct.database+"."+o.From.String())
	}
	var tools, costs, times, names uint64
	require.NoError(t, s.conn.QueryRow(t.Context(), "SELECT uniqExact(tool), count(cost), countArray(`events.timestamp`), countArray(`events.name`) FROM Span").Scan(&tools, &costs, &times, &names))
	require.Equal(t, []uint64{1, 0}, []uint64{tools, costs}, "what the record does not have is empty")
	require.NotZero(t, times)
	require.Equal(t, names, times)
}

func TestRecordsOfThisLayoutAreStored(t *testing.T) {
	t.Parallel()
	s, direct := setup(t, "column_record"), setup(t, "column_record_direct")
	blocks, err := column.NewBlocks(column.Layout())
	require.NoError(t, err)
	set := column.NewSet()
	for i := range 100 {
		column.AddSample(set, i)
	}
	require.NoError(t, blocks.Append(set.AppendRecord(nil)))
	for table := range column.TableCount {
		name := table.String()
		s.insertBlock(t.Context(), t, name, blocks.Columns(name), blocks.AppendNative(nil, name))
		direct.insert(t.Context(), t, set, table)
		require.Equal(t, uint64(100), s.count(t, name))
		requireSameRows(t, s, names(table.Columns()), s.database+"."+name, direct.database+"."+name)
	}
}
