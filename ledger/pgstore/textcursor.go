package pgstore

import (
	"strconv"
	"strings"
	"time"
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
	q.where(o.column+" > $", cursor)
	return nil
}

func numberCursor(n int64) string { return strconv.FormatInt(n, 10) }
