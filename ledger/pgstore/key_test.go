package pgstore_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	clock := &manual{at: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)}
	b := setup(t, pgstore.Settings{Now: clock.now})
	expires := clock.now().Add(48 * time.Hour)
	in := ledger.KeyInput{Name: "runner", Scopes: []ledger.Scope{ledger.ScopeExecute}, UserID: &b.user.ID, ExpiresAt: &expires}
	call := keyed(operator, "make", "key")
	issued, err := b.CreateKey(t.Context(), call, in)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(issued.Secret, issued.Key.Prefix))
	again := keyed(operator, "make", "key")
	replayed, err := b.CreateKey(t.Context(), again, in)
	require.NoError(t, err)
	require.True(t, again.Replayed)
	require.Empty(t, replayed.Secret, "the secret is shown once")
	same(t, issued.Key, replayed.Key)

	// Nobody who reads the database has the secret.
	var dump string
	require.NoError(t, b.connect(t).QueryRow(t.Context(), `SELECT concat((SELECT string_agg(k::text, '') FROM ledger.api_keys k), (SELECT string_agg(i::text, '') FROM ledger.idempotency_keys i), (SELECT string_agg(l::text, '') FROM ledger.audit_logs l))`).Scan(&dump))
	require.Contains(t, dump, issued.Key.Prefix)
	require.NotContains(t, dump, issued.Secret)

	key, err := b.Authenticate(t.Context(), issued.Secret)
	require.NoError(t, err)
	require.Equal(t, issued.Key.ID, key.ID)
	require.Equal(t, ledger.Actor{Principal: "key:" + key.ID.String(), UserID: b.user.ID, Scopes: in.Scopes}, key.Actor())
	read, err := b.KeyByID(t.Context(), operator, key.ID)
	require.NoError(t, err)
	require.Equal(t, clock.now(), *read.LastUsedAt)
	require.Equal(t, 1, read.RowVersion, "use is no change")
	for _, secret := range []string{"", "atk_", issued.Secret[:len(issued.Secret)-1] + "~", strings.Repeat("x", len(issued.Secret)), issued.Secret + "x"} {
		_, err := b.Authenticate(t.Context(), secret)
		refused(t, err, ledger.CodeUnauthenticated)
	}

	// The old key works until its grace is over, the new one has its end.
	rotated, err := b.RotateKey(t.Context(), b.call(operator), key.ID, time.Hour)
	require.NoError(t, err)
	require.Equal(t, &expires, rotated.Key.ExpiresAt)
	_, err = b.RotateKey(t.Context(), b.call(operator), key.ID, time.Hour)
	refused(t, err, ledger.CodeConflict)
	_, err = b.Authenticate(t.Context(), issued.Secret)
	require.NoError(t, err)
	clock.add(time.Hour)
	_, err = b.Authenticate(t.Context(), issued.Secret)
	refused(t, err, ledger.CodeKeyRevoked)
	_, err = b.Authenticate(t.Context(), rotated.Secret)
	require.NoError(t, err)
	clock.add(47 * time.Hour)
	_, err = b.Authenticate(t.Context(), rotated.Secret)
	refused(t, err, ledger.CodeKeyExpired)

	other, err := b.CreateKey(t.Context(), b.call(operator), ledger.KeyInput{Name: "other", Scopes: ledger.Scopes()})
	require.NoError(t, err)
	_, err = b.RevokeKey(t.Context(), b.call(operator), other.Key.ID)
	require.NoError(t, err)
	_, err = b.Authenticate(t.Context(), other.Secret)
	refused(t, err, ledger.CodeKeyRevoked)
	_, err = b.RevokeKey(t.Context(), b.call(operator), other.Key.ID)
	refused(t, err, ledger.CodeConflict)
	live, err := b.Keys(t.Context(), operator, ledger.KeyFilter{Live: true}, ledger.Page{})
	require.NoError(t, err)
	require.Empty(t, live.Items)
	all, err := b.Keys(t.Context(), operator, ledger.KeyFilter{}, ledger.Page{})
	require.NoError(t, err)
	require.Len(t, all.Items, 3)

	// Who acts for a user makes keys for that user only.
	own := ledger.Actor{Principal: "key:own", UserID: b.user.ID, Scopes: []ledger.Scope{ledger.ScopeAdmin}}
	_, err = b.CreateKey(t.Context(), b.call(own), ledger.KeyInput{Name: "x", Scopes: ledger.Scopes()})
	refused(t, err, ledger.CodeForbidden)
	_, err = b.RevokeKey(t.Context(), b.call(own), uuid.Must(uuid.NewV7()))
	refused(t, err, ledger.CodeNotFound)
	_, err = b.CreateKey(t.Context(), b.call(runner), in)
	refused(t, err, ledger.CodeForbidden)
}

// TestTotalsTellOfKeysThatEnd checks that an operator hears of a key that ends before it does, and not of one that has a
// successor or was revoked.
func TestTotalsTellOfKeysThatEnd(t *testing.T) {
	t.Parallel()
	b := setup(t, pgstore.Settings{})
	before, err := b.Totals(t.Context())
	require.NoError(t, err)
	issue := func(name string, in time.Duration) ledger.APIKey {
		k := ledger.KeyInput{Name: name, Scopes: []ledger.Scope{ledger.ScopeExecute}}
		if in > 0 {
			at := time.Now().Add(in).UTC().Truncate(time.Millisecond)
			k.ExpiresAt = &at
		}
		issued, err := b.CreateKey(t.Context(), b.call(operator), k)
		require.NoError(t, err)
		return issued.Key
	}
	const day = 24 * time.Hour
	issue("endless", 0)
	issue("next year", 300*day)
	later, sooner := issue("later", 20*day), issue("sooner", 2*day)
	replaced, revoked := issue("replaced", 3*day), issue("revoked", 4*day)
	successor, err := b.RotateKey(t.Context(), b.call(operator), replaced.ID, time.Hour)
	require.NoError(t, err)
	_, err = b.RevokeKey(t.Context(), b.call(operator), revoked.ID)
	require.NoError(t, err)

	after, err := b.Totals(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 6, after.Keys-before.Keys, "all but the revoked one")
	expiry := func(k ledger.APIKey) ledger.KeyExpiry {
		return ledger.KeyExpiry{Name: k.Name, Prefix: k.Prefix, ExpiresAt: k.ExpiresAt.UTC()}
	}
	for i := range after.Expiring {
		after.Expiring[i].ExpiresAt = after.Expiring[i].ExpiresAt.UTC()
	}
	require.Equal(t, []ledger.KeyExpiry{expiry(sooner), expiry(successor.Key), expiry(later)}, after.Expiring)
}
