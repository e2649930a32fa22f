package pgstore

import (
	"context"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/agenttrail/agenttrail/ledger"
)

const selectUser = `SELECT u.id, u.email, u.display_name, u.profile, u.status, coalesce(u.stripe_customer_id, ''), u.created_at, u.updated_at, u.row_version FROM ledger.users u`

func scanUser(row pgx.CollectableRow) (ledger.User, error) {
	var u ledger.User
	return u, row.Scan(&u.ID, &u.Email, &u.DisplayName, (*[]byte)(&u.Profile), &u.Status, &u.StripeCustomerID, &u.CreatedAt, &u.UpdatedAt, &u.RowVersion)
}

func readUser(ctx context.Context, q querier, id uuid.UUID) (ledger.User, error) {
	return queryOne(ctx, q, "user", selectUser+" WHERE u.id = $1", []any{id}, scanUser)
}

// CreateUser implements [ledger.Users].
func (s *Store) CreateUser(ctx context.Context, call *ledger.Call, in ledger.UserInput) (ledger.User, error) {
	if err := call.Actor.Require(ledger.ScopeManage); err != nil {
		return ledger.User{}, err
	}
	if call.Actor.UserID != uuid.Nil {
		return ledger.User{}, ledger.Errorf(ledger.CodeForbidden, "a key that acts for a user cannot make users")
	}
	if err := in.Validate(); err != nil {
		return ledger.User{}, err
	}
	return write(ctx, s, call, func(ctx context.Context, w *work) (ledger.User, error) {
		id := orNew(in.ID)
		if _, err := w.Exec(ctx, "INSERT INTO ledger.users (id, email, display_name, profile) VALUES ($1, $2, $3, $4)", id, in.Email, in.DisplayName, docOr(in.Profile, "{}")); err != nil {
			return ledger.User{}, err
		}
		return readUser(ctx, w, id)
	})
}

// ChangeUser implements [ledger.Users].
func (s *Store) ChangeUser(ctx context.Context, call *ledger.Call, id uuid.UUID, in ledger.UserChange) (ledger.User, error) {
	if err := in.Validate(); err != nil {
		return ledger.User{}, err
	}
	return s.changeUser(ctx, call, id, in.IfVersion, func(ctx context.Context, w *work, _ ledger.User) error {
		_, err := w.Exec(ctx, `UPDATE ledger.users SET email = coalesce($2, email), display_name = coalesce($3, display_name), profile = coalesce($4, profile),
			updated_at = now(), row_version = row_version + 1 WHERE id = $1`, id, in.Email, in.DisplayName, in.Profile)
		return err
	})
}

// CloseUser implements [ledger.Users].
func (s *Store) CloseUser(ctx context.Context, call *ledger.Call, id uuid.UUID, version int) (ledger.User, error) {
	if call.Actor.UserID != uuid.Nil {
		return ledger.User{}, ledger.Errorf(ledger.CodeForbidden, "a key that acts for a user cannot close users")
	}
	return s.changeUser(ctx, call, id, version, func(ctx context.Context, w *work, _ ledger.User) error {
		own, err := w.lockWallet(ctx, id)
		if err != nil {
			return err
		}
		if own.held > 0 {
			return ledger.Errorf(ledger.CodeConflict, "%s credits are on hold", own.held)
		}
		at, err := w.clock(ctx)
		if err != nil {
			return err
		}
		if err := w.revoke(ctx, "user_id", id, "the user's account was closed", at, false); err != nil {
			return err
		}
		_, err = w.Exec(ctx, "UPDATE ledger.users SET status = 'closed', updated_at = now(), row_version = row_version + 1 WHERE id = $1", id)
		return err
	})
}

// changeUser locks a user that is not closed, after the wallet, and runs f.
func (s *Store) changeUser(ctx context.Context, call *ledger.Call, id uuid.UUID, version int, f func(ctx context.Context, w *work, u ledger.User) error) (ledger.User, error) {
	if err := call.Actor.Require(ledger.ScopeManage); err != nil {
		return ledger.User{}, err
	}
	if err := call.Actor.MayTouch(id); err != nil {
		return ledger.User{}, err
	}
	return write(ctx, s, call, func(ctx context.Context, w *work) (ledger.User, error) {
		if _, err := w.lockWallet(ctx, id); err != nil {
			return ledger.User{}, err
		}
		u, err := readUser(ctx, w, id)
		if err == nil {
			err = ifVersion(version, u.RowVersion)
		}
		if err == nil && u.Status == ledger.UserClosed {
			err = refusedBecause(ledger.CodeUserClosed)
		}
		if err == nil {
			err = f(ctx, w, u)
		}
		if err != nil {
			return ledger.User{}, err
		}
		return readUser(ctx, w, id)
	})
}

// User implements [ledger.Users].
func (s *Store) User(ctx context.Context, actor ledger.Actor, id uuid.UUID) (ledger.User, error) {
	if err := actor.MayTouch(id); err != nil {
		return ledger.User{}, err
	}
	return readOne(ctx, s, "user", selectUser+" WHERE u.id = $1", []any{id}, scanUser)
}

// Users implements [ledger.Users].
func (s *Store) Users(ctx context.Context, actor ledger.Actor, f ledger.UserFilter, p ledger.Page) (ledger.List[ledger.User], error) {
	q := query{}
	q.owner("u.id", actor)
	q.whereText("lower(u.email)", strings.ToLower(f.Email))
	q.whereText("u.status", string(f.Status))
	return list(ctx, s, selectUser, q, byTime{"u.created_at", "u.id"}, p, scanUser, func(u ledger.User) string { return timeCursor(u.CreatedAt, u.ID) })
}
