package pgstore

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agenttrail/agenttrail/ledger"
)

// Secrets begin with this, so that scanners for leaked secrets find them.
const secretPrefix = "atk_"

// Lengths of what is shown of a secret, and of a whole one.
const (
	shownSecret  = len(secretPrefix) + 6
	secretLength = len(secretPrefix) + 43 // 256 random bits
)

// usedEvery is how often the last use of a key is written down.
const usedEvery = time.Minute

const selectKey = `SELECT k.id, k.name, k.prefix, k.scopes, k.user_id, k.created_at, k.created_by, k.expires_at, k.last_used_at, k.revoked_at, k.replaced_by, k.row_version FROM ledger.api_keys k`

func keyFields(k *ledger.APIKey) []any {
	return []any{&k.ID, &k.Name, &k.Prefix, &k.Scopes, &k.UserID, &k.CreatedAt, &k.CreatedBy, &k.ExpiresAt, &k.LastUsedAt, &k.RevokedAt, &k.ReplacedBy, &k.RowVersion}
}

func scanKey(row pgx.CollectableRow) (ledger.APIKey, error) {
	var k ledger.APIKey
	return k, row.Scan(keyFields(&k)...)
}

func readKey(ctx context.Context, q querier, id uuid.UUID) (ledger.APIKey, error) {
	return queryOne(ctx, q, "key", selectKey+" WHERE k.id = $1", []any{id}, scanKey)
}

func newSecret() string {
	var random [32]byte
	_, _ = rand.Read(random[:]) // Never fails.
	return secretPrefix + base64.RawURLEncoding.EncodeToString(random[:])
}

// CreateKey implements [ledger.Keys].
func (s *Store) CreateKey(ctx context.Context, call *ledger.Call, in ledger.KeyInput) (ledger.IssuedKey, error) {
	if err := call.Actor.Require(ledger.ScopeAdmin); err != nil {
		return ledger.IssuedKey{}, err
	}
	if call.Actor.UserID != uuid.Nil && (in.UserID == nil || *in.UserID != call.Actor.UserID) {
		return ledger.IssuedKey{}, ledger.Errorf(ledger.CodeForbidden, "a key that acts for a user can make keys for that user only")
	}
	if err := in.Validate(); err != nil {
		return ledger.IssuedKey{}, err
	}
	secret := newSecret()
	issued, err := write(ctx, s, call, func(ctx context.Context, w *work) (ledger.IssuedKey, error) {
		if in.ExpiresAt != nil {
			if at, err := w.clock(ctx); err != nil || !in.ExpiresAt.After(at) {
				return ledger.IssuedKey{}, orInvalid(err, "expiresAt", "must not be in the past")
			}
		}
		k, err := w.issue(ctx, in, secret)
		return ledger.IssuedKey{Key: k}, err
	})
	return reveal(call, issued, secret), err
}

func orInvalid(err error, field, message string) error {
	if err != nil {
		return err
	}
	return ledger.Invalid(field, message)
}

// reveal adds the secret, which is not remembered with the answer.
func reveal(call *ledger.Call, issued ledger.IssuedKey, secret string) ledger.IssuedKey {
	if !call.Replayed && issued.Key.ID != uuid.Nil {
		issued.Secret = secret
	}
	return issued
}

func (w *work) issue(ctx context.Context, in ledger.KeyInput, secret string) (ledger.APIKey, error) {
	id, hash := newID(), sha256.Sum256([]byte(secret))
	if _, err := w.Exec(ctx, "INSERT INTO ledger.api_keys (id, name, prefix, secret_hash, scopes, user_id, created_by, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		id, in.Name, secret[:shownSecret], hash[:], texts(in.Scopes), in.UserID, w.call.Actor.String(), in.ExpiresAt); err != nil {
		return ledger.APIKey{}, err
	}
	return readKey(ctx, w, id)
}

func texts[T ~string](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

// changeKey locks a key that has not been revoked and runs f.
func changeKey[T any](ctx context.Context, s *Store, call *ledger.Call, id uuid.UUID, f func(ctx context.Context, w *work, k ledger.APIKey, at time.Time) (T, error)) (T, error) {
	var none T
	if err := call.Actor.Require(ledger.ScopeAdmin); err != nil {
		return none, err
	}
	return write(ctx, s, call, func(ctx context.Context, w *work) (T, error) {
		if _, err := w.Exec(ctx, "SELECT FROM ledger.api_keys WHERE id = $1 FOR NO KEY UPDATE", id); err != nil {
			return none, err
		}
		k, err := readKey(ctx, w, id)
		if err == nil && call.Actor.UserID != uuid.Nil && (k.UserID == nil || *k.UserID != call.Actor.UserID) {
			err = notFound("key")
		}
		if err != nil {
			return none, err
		}
		at, err := w.clock(ctx)
		if err == nil && k.RevokedAt != nil && !k.RevokedAt.After(at) {
			err = ledger.Errorf(ledger.CodeConflict, "the key was revoked before")
		}
		if err != nil {
			return none, err
		}
		return f(ctx, w, k, at)
	})
}

// RevokeKey implements [ledger.Keys].
func (s *Store) RevokeKey(ctx context.Context, call *ledger.Call, id uuid.UUID) (ledger.APIKey, error) {
	return changeKey(ctx, s, call, id, func(ctx context.Context, w *work, _ ledger.APIKey, at time.Time) (ledger.APIKey, error) {
		if _, err := w.Exec(ctx, "UPDATE ledger.api_keys SET revoked_at = $2, row_version = row_version + 1 WHERE id = $1", id, at); err != nil {
			return ledger.APIKey{}, err
		}
		return readKey(ctx, w, id)
	})
}

// RotateKey implements [ledger.Keys].
func (s *Store) RotateKey(ctx context.Context, call *ledger.Call, id uuid.UUID, grace ledger.Grace) (ledger.IssuedKey, error) {
	if grace < 0 || grace > ledger.MaxGrace {
		return ledger.IssuedKey{}, ledger.Invalid("graceSeconds", "must be 0 to 2592000")
	}
	secret := newSecret()
	issued, err := changeKey(ctx, s, call, id, func(ctx context.Context, w *work, old ledger.APIKey, at time.Time) (ledger.IssuedKey, error) {
		if old.ReplacedBy != nil {
			return ledger.IssuedKey{}, ledger.Errorf(ledger.CodeConflict, "the key was rotated before")
		}
		if old.ExpiresAt != nil && !old.ExpiresAt.After(at) {
			return ledger.IssuedKey{}, ledger.Errorf(ledger.CodeConflict, "the key has expired")
		}
		k, err := w.issue(ctx, ledger.KeyInput{Name: old.Name, Scopes: old.Scopes, UserID: old.UserID, ExpiresAt: old.ExpiresAt}, secret)
		if err != nil {
			return ledger.IssuedKey{}, err
		}
		_, err = w.Exec(ctx, "UPDATE ledger.api_keys SET revoked_at = $2, replaced_by = $3, row_version = row_version + 1 WHERE id = $1", id, at.Add(grace), k.ID)
		return ledger.IssuedKey{Key: k}, err
	})
	return reveal(call, issued, secret), err
}

// Authenticate implements [ledger.Keys].
func (s *Store) Authenticate(ctx context.Context, secret string) (ledger.APIKey, error) {
	unknown := ledger.Errorf(ledger.CodeUnauthenticated, "the key is not known")
	if len(secret) != secretLength || !strings.HasPrefix(secret, secretPrefix) {
		return ledger.APIKey{}, unknown
	}
	hash := sha256.Sum256([]byte(secret))
	_, tell := s.now()
	type found struct {
		key ledger.APIKey
		at  time.Time
	}
	f, err := readOne(ctx, s, "key", strings.Replace(selectKey, " FROM", ", coalesce($2, clock_timestamp()) FROM", 1)+" WHERE k.secret_hash = $1", []any{hash[:], tell},
		func(row pgx.CollectableRow) (found, error) {
			var f found
			return f, row.Scan(append(keyFields(&f.key), &f.at)...)
		})
	switch {
	case ledger.CodeOf(err) == ledger.CodeNotFound:
		return ledger.APIKey{}, unknown
	case err != nil:
		return ledger.APIKey{}, err
	case f.key.RevokedAt != nil && !f.key.RevokedAt.After(f.at):
		return ledger.APIKey{}, ledger.Errorf(ledger.CodeKeyRevoked, "the key was revoked")
	case f.key.ExpiresAt != nil && !f.key.ExpiresAt.After(f.at):
		return ledger.APIKey{}, ledger.Errorf(ledger.CodeKeyExpired, "the key has expired")
	case f.key.LastUsedAt == nil || f.at.Sub(*f.key.LastUsedAt) >= usedEvery:
		return f.key, s.used(ctx, f.key, f.at)
	default:
		return f.key, nil
	}
}

// used writes down that a key was used. If others are at the row, they will.
func (s *Store) used(ctx context.Context, k ledger.APIKey, at time.Time) error {
	return s.unit(ctx, true, func(conn *pgxpool.Conn) error {
		_, err := conn.Exec(ctx, `WITH actor AS MATERIALIZED (SELECT set_config('app.actor', $3, true) AS name),
			free AS (SELECT k.id FROM ledger.api_keys k, actor WHERE k.id = $1 AND actor.name <> '' FOR NO KEY UPDATE OF k SKIP LOCKED)
			UPDATE ledger.api_keys k SET last_used_at = $2 FROM free WHERE k.id = free.id`, k.ID, at, k.Actor().Principal)
		return err
	})
}

// KeyByID implements [ledger.Keys].
func (s *Store) KeyByID(ctx context.Context, actor ledger.Actor, id uuid.UUID) (ledger.APIKey, error) {
	if err := actor.Require(ledger.ScopeAdmin); err != nil {
		return ledger.APIKey{}, err
	}
	q := query{}
	q.where("k.id = $", id)
	q.owner("k.user_id", actor)
	return readOne(ctx, s, "key", selectKey+q.conditionsSQL(), q.args, scanKey)
}

// Keys implements [ledger.Keys].
func (s *Store) Keys(ctx context.Context, actor ledger.Actor, f ledger.KeyFilter, p ledger.Page) (ledger.List[ledger.APIKey], error) {
	if err := actor.Require(ledger.ScopeAdmin); err != nil {
		return ledger.List[ledger.APIKey]{}, err
	}
	q := query{}
	q.owner("k.user_id", actor)
	q.whereUser("k.user_id", f.UserID)
	if f.Live {
		at, _ := s.now()
		q.where("(k.revoked_at IS NULL OR k.revoked_at > $) AND (k.expires_at IS NULL OR k.expires_at > $)", at)
	}
	return list(ctx, s, selectKey, q, byTime{"k.created_at", "k.id"}, p, scanKey, func(k ledger.APIKey) string { return timeCursor(k.CreatedAt, k.ID) })
}
