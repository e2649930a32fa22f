package pgstore

import (
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// byTimeAndText sorts by a time and then by a text that is unique.
type byTimeAndText struct{ time, text string }

func (o byTimeAndText) by() string { return o.time + " DESC, " + o.text + " DESC" }

func (o byTimeAndText) after(q *query, cursor string) error {
	at, text, _ := strings.Cut(cursor, " ")
	micros, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return err
	}
	if err := storable(text); err != nil {
		return err
	}
	q.args = append(q.args, time.UnixMicro(micros), text)
	n := len(q.args)
	q.conditions = append(q.conditions, "("+o.time+", "+o.text+") < ($"+strconv.Itoa(n-1)+", $"+strconv.Itoa(n)+")")
	return nil
}

func timeTextCursor(at time.Time, text string) string {
	return strconv.FormatInt(at.UnixMicro(), 10) + " " + text
}

// byText sorts by a text that is unique, A first.
type byText struct{ column string }

func (o byText) by() string { return o.column }

func (o byText) after(q *query, cursor string) error {
	text, ok := strings.CutPrefix(cursor, textCursorPrefix)
	if !ok {
		return errors.New("not a cursor")
	}
	if err := storable(text); err != nil {
		return err
	}
	q.where(o.column+" > $", text)
	return nil
}

// textCursorPrefix tells a cursor from any other text.
const textCursorPrefix = "after "

func textCursor(text string) string { return textCursorPrefix + text }

// storable refuses text that Postgres would.
func storable(text string) error {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return errors.New("not a text")
	}
	return nil
}

func numberCursor(n int64) string { return strconv.FormatInt(n, 10) }
