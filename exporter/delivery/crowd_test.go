package delivery

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestACrowdIsToldOfOnceAndWhenItIsOver(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.InfoLevel)
	c := &crowd{logger: zap.New(core)}
	at := time.Unix(0, 0)
	c.look(at)
	require.Zero(t, logs.Len())
	for range 5 {
		at = at.Add(time.Second)
		c.refuse(at)
		c.look(at.Add(crowdCalm))
	}
	require.Equal(t, 1, logs.Len())
	require.Contains(t, logs.All()[0].Message, "More arrives than can be stored")
	c.look(at.Add(crowdCalm + time.Second))
	c.look(at.Add(time.Hour))
	require.Equal(t, 2, logs.Len())
	require.Equal(t, int64(5), logs.All()[1].ContextMap()["refused"])
	c.refuse(at.Add(2 * time.Hour))
	require.Equal(t, 3, logs.Len(), "it can begin anew")
}
