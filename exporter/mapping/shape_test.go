package mapping

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// TestShapesChangeNothing scans attributes of few and many kinds, with keys that are there twice, not valid or too long,
// with a mapper that has seen others and with a new one, which knows no shapes.
func TestShapesChangeNothing(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	some := []string{"gen_ai.agent.id", "user.id", "session.id", "gen_ai.usage.input_tokens", "http.route", "app.a", "app.b", "app.c", "app.\xff", string(make([]byte, maxKeyBytes+1))}
	kinds := make([][]string, 60)
	for i := range kinds {
		for range r.IntN(12) {
			key := some[min(r.IntN(len(some)+5), len(some)-1)]
			if r.IntN(3) > 0 {
				key = some[r.IntN(8)]
			}
			kinds[i] = append(kinds[i], key)
		}
	}
	used, found := New(Config{}), 0
	for i := range 20_000 {
		var attrs record.Attrs
		for _, key := range kinds[r.IntN(len(kinds))] {
			value := record.String(fmt.Sprint("value ", r.IntN(3)))
			switch r.IntN(30) {
			case 0:
				value = record.String("not valid: \xff")
			case 1:
				value = record.Int(int64(i))
			}
			attrs = append(attrs, record.Attr{Key: string([]byte(key)), Value: value}) // Each request has its own strings.
		}
		if used.shapes.find(attrs.KeyLengths(), attrs) != nil {
			found++
		}
		fresh := New(Config{})
		want := fresh.scan(&fresh.v, attrs)
		got := used.scan(&used.v, attrs)
		require.Equal(t, want, got)
		require.Equal(t, fresh.v.has, used.v.has)
		for id := range keyID(maxKeys) {
			if fresh.v.has.contains(id) {
				require.Equal(t, fresh.v.slot[id], used.v.slot[id])
			}
		}
		require.Equal(t, fresh.stats, used.stats)
		used.stats = Stats{}
		used.arena.Reset()
	}
	require.Greater(t, found, 5000)
}

// TestShapesAreBounded gives a mapper ever new shapes.
func TestShapesAreBounded(t *testing.T) {
	t.Parallel()
	m := New(Config{})
	for i := range 5000 {
		for range 3 {
			m.scan(&m.v, record.Attrs{{Key: fmt.Sprint("key.", i)}, {Key: string(make([]byte, i%50))}})
		}
	}
	var long record.Attrs
	for i := range maxShapeKeys + 1 {
		long = append(long, record.Attr{Key: fmt.Sprint("key.", i)})
	}
	for range 2 * relearnAfter {
		m.scan(&m.v, long)
	}
	require.Nil(t, m.shapes.find(long.KeyLengths(), long))
	known := 0
	for i := range m.shapes {
		if m.shapes[i].shape != nil {
			known++
		}
	}
	require.Positive(t, known)
}
