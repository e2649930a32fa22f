package pgstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agenttrail/agenttrail/ledger"
)

// work is an operation that is under way.
type work struct {
	pgx.Tx
	store *Store
	call  *ledger.Call
}

// refusal is an error that was decided on, so that what was written with it stays: a run that has failed, say.
type refusal struct{ because *ledger.Error }

func (r refusal) Error() string { return r.because.Error() }
func (r refusal) Unwrap() error { return r.because }

// write runs f in a transaction of its own, in the name of the call's actor and under its idempotency key: if the key came
// before, the answer of that time is given again.
func write[T any](ctx context.Context, s *Store, call *ledger.Call, f func(ctx context.Context, w *work) (T, error)) (answer T, err error) {
	if err := checkKey(call); err != nil {
		return answer, err
	}
	var answered error
	err = s.unit(ctx, call.Key != "", func(conn *pgxpool.Conn) error {
		answer, answered, err = attempt(ctx, s, conn, call, f)
		return err
	})
	if err == nil {
		err = answered
	}
	if err != nil {
		var none T
		return none, err
	}
	return answer, nil
}

func checkKey(call *ledger.Call) error {
	if len(call.Key) > 255 {
		return ledger.Invalid("Idempotency-Key", "must have at most 255 bytes")
	}
	if call.Key != "" && len(call.Fingerprint) == 0 {
		return errors.New("BUG: an idempotency key without a fingerprint")
	}
	call.Replayed = false
	return nil
}

// attempt is one try. What it answers is apart from what went wrong with trying.
func attempt[T any](ctx context.Context, s *Store, conn *pgxpool.Conn, call *ledger.Call, f func(ctx context.Context, w *work) (T, error)) (answer T, answered, err error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return answer, nil, err
	}
	defer func() {
		if err != nil || answered != nil {
			_ = tx.Rollback(context.WithoutCancel(ctx)) // Does nothing after a commit.
		}
	}()
	claimed, err := claim(ctx, tx, call)
	if err != nil {
		return answer, nil, err
	}
	if !claimed {
		var stored record
		if stored, err = recall(ctx, tx, call); err == nil {
			answer, answered, err = replayFrom[T](ctx, s, tx, call, stored)
		}
		_ = tx.Rollback(ctx)
		return answer, answered, err
	}
	inner, err := tx.Begin(ctx)
	if err != nil {
		return answer, nil, err
	}
	answer, err = f(ctx, &work{Tx: inner, store: s, call: call})
	if err != nil {
		if answered, err = settleError(ctx, tx, inner, call, err); err != nil {
			return answer, nil, err
		}
		return answer, answered, tx.Commit(ctx)
	}
	if err = inner.Commit(ctx); err != nil {
		return answer, nil, err
	}
	if err = remember(ctx, tx, call, answer); err != nil {
		return answer, nil, err
	}
	return answer, nil, tx.Commit(ctx)
}

// settleError decides what becomes of an operation that was refused: it is undone, unless the refusal says that what was
// written is to stay, and the answer is remembered if its code is to be. Other errors come back as such.
func settleError(ctx context.Context, tx, inner pgx.Tx, call *ledger.Call, err error) (answered, failed error) {
	var kept refusal
	var known *ledger.Error
	if errors.As(err, &kept) {
		known = kept.because
	} else if !errors.As(translate(ctx, err), &known) || retry(err, call.Key != "") {
		return nil, err
	}
	if kept.because == nil && (call.Key == "" || !ledger.Remembered(known.Code)) {
		return nil, err
	}
	end := inner.Rollback
	if kept.because != nil {
		end = inner.Commit
	}
	if err := end(ctx); err != nil {
		return nil, err
	}
	if call.Key != "" {
		text, err := json.Marshal(known)
		if err != nil {
			return nil, fmt.Errorf("write answer: %w", err)
		}
		if _, err := tx.Exec(ctx, "UPDATE ledger.idempotency_keys SET code = $3, response = $4 WHERE principal = $1 AND key = $2", call.Actor.Principal, call.Key, string(known.Code), text); err != nil {
			return nil, err
		}
	}
	return known, nil
}

// claim says who acts, and takes the idempotency key. It waits for another request that has just taken it, and is false if
// the key has an answer.
func claim(ctx context.Context, tx pgx.Tx, call *ledger.Call) (bool, error) {
	b := &pgx.Batch{}
	b.Queue("SELECT set_config('app.actor', $1, true), set_config('app.request_id', $2, true)", call.Actor.String(), call.RequestID)
	if call.Key != "" {
		b.Queue("INSERT INTO ledger.idempotency_keys (principal, key, fingerprint) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", call.Actor.Principal, call.Key, call.Fingerprint)
	}
	results := tx.SendBatch(ctx, b)
	_, err := results.Exec()
	claimed := true
	if err == nil && call.Key != "" {
		tag, keyErr := results.Exec()
		claimed, err = tag.RowsAffected() == 1, keyErr
	}
	return claimed, errors.Join(err, results.Close())
}

// record is the answer to an earlier request.
type record struct {
	fingerprint []byte
	resource    *uuid.UUID
	code        *string
	response    []byte
}

// recall finds the answer to an earlier request. Errors: pgx.ErrNoRows.
func recall(ctx context.Context, q querier, call *ledger.Call) (record, error) {
	var r record
	err := q.QueryRow(ctx, "SELECT fingerprint, resource, code, response FROM ledger.idempotency_keys WHERE principal = $1 AND key = $2", call.Actor.Principal, call.Key).
		Scan(&r.fingerprint, &r.resource, &r.code, &r.response)
	return r, err
}

// check compares what is asked for with what was.
func (r record) check(call *ledger.Call) error {
	if !bytes.Equal(r.fingerprint, call.Fingerprint) {
		return errReused()
	}
	call.Replayed = true
	return nil
}

func errReused() *ledger.Error {
	return ledger.Errorf(ledger.CodeKeyReused, "the idempotency key came before with another request")
}

// refused is the error that was the answer, if one was. Those without details were written by a statement that knows the
// code alone.
func (r record) refused() (answer, err error) {
	if r.code == nil {
		return nil, nil
	}
	if r.response == nil {
		return refusedBecause(ledger.Code(*r.code)), nil
	}
	e := &ledger.Error{}
	if err := json.Unmarshal(r.response, e); err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	return e, nil
}

// replayFrom gives the answer of an earlier request: from the record, or from the rows of a run that one statement
// authorized.
func replayFrom[T any](ctx context.Context, s *Store, q querier, call *ledger.Call, r record) (answer T, answered, err error) {
	if a, ok := any(&answer).(*ledger.Authorization); ok {
		*a, answered, err = s.replayAuthorize(ctx, q, call, r)
		return answer, answered, err
	}
	return replay[T](call, r)
}

func replay[T any](call *ledger.Call, r record) (answer T, answered, err error) {
	if err := r.check(call); err != nil {
		return answer, err, nil
	}
	if answered, err := r.refused(); answered != nil || err != nil {
		return answer, answered, err
	}
	stored := storedAnswer[T]{}
	if err := json.Unmarshal(r.response, &stored); err != nil {
		return answer, nil, fmt.Errorf("read answer: %w", err)
	}
	if v := rowVersion(&stored.Value); v != nil {
		*v = stored.RowVersion
	}
	return stored.Value, nil, nil
}

// storedAnswer is an answer with what its JSON leaves out.
type storedAnswer[T any] struct {
	Value      T   `json:"value"`
	RowVersion int `json:"rowVersion,omitempty"`
}

func remember[T any](ctx context.Context, tx pgx.Tx, call *ledger.Call, answer T) error {
	if call.Key == "" {
		return nil
	}
	stored := storedAnswer[T]{Value: answer}
	if v := rowVersion(&answer); v != nil {
		stored.RowVersion = *v
	}
	text, err := json.Marshal(stored)
	if err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	_, err = tx.Exec(ctx, "UPDATE ledger.idempotency_keys SET response = $3 WHERE principal = $1 AND key = $2", call.Actor.Principal, call.Key, text)
	return err
}

// rowVersion is where an answer keeps what its ETag is made of, nil if it has none.
func rowVersion(answer any) *int {
	switch a := answer.(type) {
	case *ledger.User:
		return &a.RowVersion
	case *ledger.Agent:
		return &a.RowVersion
	case *ledger.Mandate:
		return &a.RowVersion
	case *ledger.Transaction:
		return &a.RowVersion
	case *ledger.Grant:
		return &a.RowVersion
	case *ledger.Interaction:
		return &a.RowVersion
	case *ledger.APIKey:
		return &a.RowVersion
	case *ledger.IssuedKey:
		return &a.Key.RowVersion
	case *ledger.Authorization:
		return &a.Transaction.RowVersion
	default:
		return nil
	}
}

// refusedBecause is the answer of a statement that gives a code alone.
func refusedBecause(code ledger.Code) *ledger.Error {
	switch code {
	case ledger.CodeHoldCaptured:
		return ledger.Errorf(code, "the hold was captured before")
	case ledger.CodeHoldReleased:
		return ledger.Errorf(code, "the hold was released before")
	case ledger.CodeHoldExpired:
		return ledger.Errorf(code, "the hold has expired")
	case ledger.CodeCaptureExceedsHold:
		return ledger.Errorf(code, "the amount is more than what is held")
	case ledger.CodeUserClosed:
		return ledger.Errorf(code, "the user's account is closed")
	default:
		return ledger.Errorf(code, "refused: %s", code)
	}
}

// wallet is the row that is locked before anything else of a user.
type wallet struct {
	account      int64
	posted, held ledger.Credits
	closed       bool
}

// lockWallet locks the wallet of a user. Errors: CodeNotFound.
func (w *work) lockWallet(ctx context.Context, user uuid.UUID) (wallet, error) {
	var row wallet
	err := w.QueryRow(ctx, "SELECT account_id, posted, held, closed FROM ledger.wallets WHERE user_id = $1 FOR UPDATE", user).
		Scan(&row.account, (*int64)(&row.posted), (*int64)(&row.held), &row.closed)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, notFound("user")
	}
	return row, err
}

// newID is an id of version 7.
func newID() uuid.UUID {
	id, err := uuid.NewV7()
	if err != nil {
		panic("BUG: no randomness: " + err.Error())
	}
	return id
}

// orNew is the id that was chosen, or a new one.
func orNew(id uuid.UUID) uuid.UUID {
	if id == uuid.Nil {
		return newID()
	}
	return id
}

func ifVersion(want, is int) error {
	if want != 0 && want != is {
		return ledger.Errorf(ledger.CodeVersionMismatch, "it was changed since it was read: its version is %d now", is)
	}
	return nil
}
