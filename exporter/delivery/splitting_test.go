package delivery

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/exporter/column"
	"github.com/agenttrail/agenttrail/exporter/journal"
)

// poison rejects blocks with a message that starts with "poison", and holds the first block until goOn is closed.
func (f *fakeClickHouse) poison(goOn <-chan struct{}) {
	var n atomic.Int32
	f.fault = func(w http.ResponseWriter, _ insertCall, rows []map[string]any) bool {
		if n.Add(1) == 1 {
			<-goOn
		}
		for _, r := range rows {
			if strings.HasPrefix(r["message"].(string), "poison") {
				return exception(w, 400, 469, "Constraint is violated")
			}
		}
		return false
	}
}

func TestOnlyTheGuiltyRequestIsADeadLetter(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	goOn := make(chan struct{})
	fake.poison(goOn)
	w := newTestWriter(t, fake.URL, func(s *Settings) { s.Senders = 1 })
	require.NoError(t, put(t.Context(), w, "hold"))
	eventually(t, func() bool { return len(fake.seen()) == 1 })
	want := []string{"hold"}
	for i := range 40 {
		if i%17 == 5 {
			require.NoError(t, put(t.Context(), w, "neighbor in the request", fmt.Sprint("poison ", i)))
			continue
		}
		m := fmt.Sprintf("good %02d", i)
		want = append(want, m)
		require.NoError(t, put(t.Context(), w, m))
	}
	close(goOn)
	drained(t, w)
	slices.Sort(want)
	require.Equal(t, want, messages(fake.stored(column.TableAgentLog)))

	letters, err := journal.ListDeadLetters(w.set.Journal.Dir)
	require.NoError(t, err)
	require.Len(t, letters, 3)
	var dead []string
	for _, l := range letters {
		require.Equal(t, "AgentLog", l.Table)
		require.Equal(t, 2, l.Rows)
		require.Equal(t, "constraint", l.Reason)
		require.Equal(t, 469, l.Code)
		require.Contains(t, l.Message, "Constraint is violated")
		d, err := journal.ReadDeadLetter(w.set.Journal.Dir, l.Name)
		require.NoError(t, err)
		dead = append(dead, messages(decodeBody(t, d.Native, false))...)
	}
	slices.Sort(dead)
	require.Equal(t, []string{"neighbor in the request", "neighbor in the request", "neighbor in the request", "poison 22", "poison 39", "poison 5"}, dead)
}

func TestPiecesOfABlockAreTheSameAfterARestart(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	goOn := make(chan struct{})
	fake.poison(goOn)
	s := testSettings(t, fake.URL, func(s *Settings) { s.Senders = 1 })
	w, err := NewWriter(t.Context(), s)
	require.NoError(t, err)
	require.NoError(t, put(t.Context(), w, "hold"))
	eventually(t, func() bool { return len(fake.seen()) == 1 })
	for i := range 8 {
		m := fmt.Sprint("good ", i)
		if i == 5 {
			m = "poison"
		}
		require.NoError(t, put(t.Context(), w, m))
	}
	var once sync.Once
	poisoned := fake.fault
	stopped := make(chan struct{})
	fake.change(func(w http.ResponseWriter, c insertCall, rows []map[string]any) bool {
		if strings.HasSuffix(c.token, "/0-4") { // Stored, and never heard of.
			fake.store(c, rows)
			once.Do(func() { close(stopped) })
			return exception(w, 500, 252, "Too many parts")
		}
		return poisoned(w, c, rows)
	})
	close(goOn)
	<-stopped
	shutdown(t, w)
	require.Len(t, fake.stored(column.TableAgentLog), 1+4)
	fake.change(poisoned)
	w = newTestWriter(t, fake.URL, func(changed *Settings) {
		changed.Journal.Dir = s.Journal.Dir
		changed.MaxBlockRows = 2 // Another limit must not cut what was cut already.
	})
	drained(t, w)
	require.Equal(t, []string{"good 0", "good 1", "good 2", "good 3", "good 4", "good 6", "good 7", "hold"}, messages(fake.stored(column.TableAgentLog)))
	whole := 0
	for _, c := range fake.seen() {
		if strings.HasSuffix(c.token, "/AgentLog") && len(decodeBody(t, c.body, c.query.Get("decompress") == "1")) == 8 {
			whole++
		}
	}
	require.Equal(t, 1, whole, "the whole is not sent again once it was split")
	letters, err := journal.ListDeadLetters(s.Journal.Dir)
	require.NoError(t, err)
	require.Len(t, letters, 1)
}

func TestABlockThatFailsInAViewIsNeverSplit(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	var n atomic.Int32
	fake.fault = func(w http.ResponseWriter, _ insertCall, _ []map[string]any) bool {
		if n.Add(1) < 4 {
			return exception(w, 400, 53, "Cannot convert: while pushing to view agenttrail.V")
		}
		return false
	}
	w := newTestWriter(t, fake.URL, nil)
	require.NoError(t, put(t.Context(), w, "a"))
	drained(t, w)
	calls := fake.seen()
	require.Len(t, calls, 4)
	require.Equal(t, calls[0].token, calls[3].token)
}
