package delivery

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/exporter/column"
)

func TestTheOpenSegmentIsFullWhenNothingIsOnItsWay(t *testing.T) {
	t.Parallel()
	s := Settings{MaxBlockRows: 2}.withDefaults()
	o := newOpen(&s)
	row := func() []*part {
		return []*part{{rows: [column.TableCount]int{1}, sizes: [column.TableCount]int{10}, bytes: 10}}
	}
	first, second, third := row(), row(), row()
	require.NoError(t, o.admit(first, time.Minute))
	require.NoError(t, o.admit(second, time.Minute))
	require.False(t, o.isFull(), "neither is durable")
	o.landed()
	require.False(t, o.isFull(), "one would be left out of the block")
	o.landed()
	require.True(t, o.isFull())

	require.ErrorContains(t, o.admit(third, time.Nanosecond), "see whether its disk is slow or full")
	admitted := make(chan error, 1)
	go func() { admitted <- o.admit(third, time.Minute) }()
	o.leave([]*part{first[0], second[0]})
	require.NoError(t, <-admitted)
	require.False(t, o.isFull())
	o.landed()
	require.False(t, o.isFull(), "there is room for another")
}

func TestARequestThatFitsIntoNoSegmentIsLetInAlone(t *testing.T) {
	t.Parallel()
	s := Settings{MaxBlockRows: 2}.withDefaults()
	o := newOpen(&s)
	large := []*part{{rows: [column.TableCount]int{2}}, {rows: [column.TableCount]int{1}}}
	require.NoError(t, o.admit(large, time.Minute))
	o.landed()
	require.True(t, o.isFull())
	require.Error(t, o.admit([]*part{{}}, time.Nanosecond))
	o.leave(large)
	require.NoError(t, o.admit([]*part{{}}, time.Minute))
}
