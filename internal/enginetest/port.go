package enginetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/port"
)

// ReservePort gives an address of this machine at which nobody listens. The test, or a process that it starts, may listen
// there, end and listen again; nobody else is given the port meanwhile.
func ReservePort(tb testing.TB) string {
	tb.Helper()
	addr, free, err := port.Reserve(tb.Context(), "127.0.0.1")
	require.NoError(tb, err)
	tb.Cleanup(free)
	return addr
}
