package delivery

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/agenttrail/agenttrail/exporter/journal"
)

func TestDeadLettersAreToldOnceAndThenCounted(t *testing.T) {
	t.Parallel()
	logs, seen := observer.New(zapcore.InfoLevel)
	l := newLetters(zap.New(logs))
	for range 5 {
		l.note(journal.DeadLetter{Table: "Span", Reason: "constraint", Rows: 3}, &Failure{Status: 400, Code: 469})
	}
	l.note(journal.DeadLetter{Table: "AgentLog", Reason: "constraint", Rows: 1}, &Failure{Status: 400, Code: 469})
	require.Equal(t, 2, seen.Len(), "the first of each table and reason")
	l.tell(time.Now())
	require.Equal(t, 2, seen.Len(), "not so soon")
	later := time.Now().Add(2 * time.Minute)
	l.tell(later)
	require.Equal(t, 3, seen.Len())
	require.Equal(t, map[string]any{"table": "Span", "reason": "constraint", "dead_letters": int64(4), "rows": int64(12)}, seen.All()[2].ContextMap())
	l.tell(later.Add(2 * time.Minute))
	require.Equal(t, 3, seen.Len(), "there were no more")
	l.note(journal.DeadLetter{Table: "Span", Reason: "constraint", Rows: 3}, &Failure{Status: 400, Code: 469})
	require.Equal(t, 4, seen.Len(), "after some quiet it is news again")
}
