package pgstore

import (
	"context"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/agenttrail/agenttrail/ledger"
)

// query is a SELECT that is put together from conditions.
type query struct {
	conditions []string
	args       []any
}

// where adds a condition, in which $ stands for the value.
func (q *query) where(condition string, value any) {
	q.args = append(q.args, value)
	q.conditions = append(q.conditions, strings.ReplaceAll(condition, "$", "$"+strconv.Itoa(len(q.args))))
}

func (q *query) whereUser(column string, id uuid.UUID) {
	if id != uuid.Nil {
		q.where(column+" = $", id)
	}
}

func (q *query) whereText(column, value string) {
	if value != "" {
		q.where(column+" = $", value)
	}
}

func (q *query) whereTime(column string, from, until time.Time) {
	if !from.IsZero() {
		q.where(column+" >= $", from)
	}
	if !until.IsZero() {
		q.where(column+" < $", until)
	}
}

// owner narrows a list to what the actor may see.
func (q *query) owner(column string, actor ledger.Actor) { q.whereUser(column, actor.UserID) }

// conditionsSQL is the WHERE clause, with a space before it; empty without conditions.
func (q *query) conditionsSQL() string {
	if len(q.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(q.conditions, " AND ")
}

// order is how a list is sorted: newest first, by columns that are unique together.
type order interface {
	// after narrows the query to what follows the cursor's item.
	after(q *query, cursor string) error
	by() string
}

// byID sorts by an id that the ledger made, of version 7.
type byID struct{ column string }

func (o byID) by() string { return o.column + " DESC" }

func (o byID) after(q *query, cursor string) error {
	id, err := uuid.Parse(cursor)
	if err != nil {
		return err
	}
	q.where(o.column+" < $", id)
	return nil
}

// byNumber sorts by a number.
type byNumber struct{ column string }

func (o byNumber) by() string { return o.column + " DESC" }

func (o byNumber) after(q *query, cursor string) error {
	n, err := strconv.ParseInt(cursor, 10, 64)
	if err != nil {
		return err
	}
	q.where(o.column+" < $", n)
	return nil
}

// byTime sorts by a time and then by an id.
type byTime struct{ time, id string }

func (o byTime) by() string { return o.time + " DESC, " + o.id + " DESC" }

func (o byTime) after(q *query, cursor string) error {
	at, id, _ := strings.Cut(cursor, " ")
	micros, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return err
	}
	parsed, err := uuid.Parse(id)
	if err != nil {
		return err
	}
	q.args = append(q.args, time.UnixMicro(micros), parsed)
	n := len(q.args)
	q.conditions = append(q.conditions, "("+o.time+", "+o.id+") < ($"+strconv.Itoa(n-1)+", $"+strconv.Itoa(n)+")")
	return nil
}

func timeCursor(at time.Time, id uuid.UUID) string {
	return strconv.FormatInt(at.UnixMicro(), 10) + " " + id.String()
}

// list gives one page. The key of an item is its cursor, which callers get in a form that they will not take apart.
func list[T any](ctx context.Context, s *Store, selecting string, q query, o order, p ledger.Page, scan pgx.RowToFunc[T], key func(T) string) (ledger.List[T], error) {
	var none ledger.List[T]
	limit := p.Limit
	if limit == 0 {
		limit = ledger.DefaultPageLimit
	}
	if limit < 1 || limit > ledger.MaxPageLimit {
		return none, ledger.Invalid("limit", "must be 1 to "+strconv.Itoa(ledger.MaxPageLimit))
	}
	if p.Cursor != "" {
		text, err := base64.RawURLEncoding.DecodeString(p.Cursor)
		if err == nil {
			err = o.after(&q, string(text))
		}
		if err != nil {
			return none, ledger.Invalid("cursor", "must be one that a page before gave")
		}
	}
	sql := selecting + q.conditionsSQL() + " ORDER BY " + o.by() + " LIMIT " + strconv.Itoa(limit+1)
	items, err := read(ctx, s, sql, q.args, scan)
	if err != nil {
		return none, err
	}
	page := ledger.List[T]{Items: items}
	if page.Items == nil {
		page.Items = []T{}
	}
	if len(items) > limit {
		page.Items = items[:limit]
		page.Next = base64.RawURLEncoding.EncodeToString([]byte(key(items[limit-1])))
	}
	return page, nil
}
