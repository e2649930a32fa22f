package direct

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOneExporterTakesARequest(t *testing.T) {
	t.Parallel()
	r := &Request{Signal: SignalLogs, Body: []byte("body")}
	ctx := NewContext(t.Context(), r)
	require.Nil(t, Take(t.Context(), SignalLogs), "there is none")
	require.Nil(t, Take(ctx, SignalTraces), "it is of another signal")
	taken := Take(ctx, SignalLogs)
	require.Same(t, r, taken)
	taken.Release(3)
	require.Equal(t, Outcome{Taken: true, Records: 3}, r.End())
}

func TestNobodyTakesARequest(t *testing.T) {
	t.Parallel()
	r := &Request{}
	ctx := NewContext(t.Context(), r)
	require.Equal(t, Outcome{}, r.End())
	none := Take(ctx, SignalTraces)
	require.Nil(t, none, "it has ended")
	none.Release(1)
	require.Equal(t, Outcome{}, r.End())
}

func TestARequestThatIsStillReadSaysSo(t *testing.T) {
	t.Parallel()
	r := &Request{Signal: SignalMetrics}
	ctx := NewContext(t.Context(), r)
	first, second := Take(ctx, SignalMetrics), Take(context.WithoutCancel(ctx), SignalMetrics)
	require.NotNil(t, first)
	require.NotNil(t, second)
	first.Release(1)
	require.Equal(t, Outcome{Taken: true, Read: true, Records: 1}, r.End())
	second.Release(1)
	require.Equal(t, Outcome{Taken: true, Records: 1}, r.End())
}

func TestSignalsHaveTheNamesOfPipelines(t *testing.T) {
	t.Parallel()
	for s, want := range map[Signal]string{SignalTraces: "traces", SignalLogs: "logs", SignalMetrics: "metrics", 9: "unknown"} {
		require.Equal(t, want, s.String())
	}
}
