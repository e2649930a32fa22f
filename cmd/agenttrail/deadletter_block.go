package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

// nativeBlock is a block in ClickHouse's format Native, as INSERT bodies have it.
type nativeBlock struct{ block proto.Block }

// readBlock decodes a block. It must take all of the bytes.
func readBlock(native []byte) (b *nativeBlock, err error) {
	defer func() { // The decoder trusts what servers send.
		if r := recover(); r != nil {
			b, err = nil, fmt.Errorf("it is damaged: %v", r)
		}
	}()
	b = &nativeBlock{block: *proto.NewBlock()}
	reader := chproto.NewReader(bytes.NewReader(native))
	if err := b.block.Decode(reader, 0); err != nil {
		return nil, fmt.Errorf("it is damaged: %w", err)
	}
	if _, err := reader.ReadByte(); err == nil {
		return nil, errors.New("it is damaged: there is more than one block")
	}
	return b, nil
}

func (b *nativeBlock) count() int { return b.block.Rows() }

func (b *nativeBlock) names() []string { return b.block.ColumnsNames() }

// rows gives the first rows, by column.
func (b *nativeBlock) rows(most int) []map[string]any {
	rows := make([]map[string]any, 0, min(most, b.count()))
	for i := range min(most, b.count()) {
		row := make(map[string]any, len(b.block.Columns))
		for _, c := range b.block.Columns {
			row[c.Name()] = c.Row(i, false)
		}
		rows = append(rows, row)
	}
	return rows
}

// rowText writes a value for people, nothing for one that is empty.
func rowText(v any) string {
	r := reflect.ValueOf(v)
	for r.Kind() == reflect.Pointer {
		if r.IsNil() {
			return ""
		}
		r = r.Elem()
		v = r.Interface()
	}
	switch v := v.(type) {
	case nil:
		return ""
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case fmt.Stringer:
		return v.String()
	case string:
		return v
	case map[string]string:
		pairs := make([]string, 0, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			pairs = append(pairs, k+"="+v[k])
		}
		return strings.Join(pairs, ", ")
	}
	if k := r.Kind(); (k == reflect.Slice || k == reflect.Map) && r.Len() == 0 {
		return ""
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
