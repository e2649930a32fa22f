package faults

import "sync/atomic"

// launchers start the processes: one the engine, one the collector, and one the collector with a clock of its own.
type launchers struct {
	engine, collector, collectorWithClock *launcher

	renames renames
	flushes flushes
	clock   clock

	withClock atomic.Bool
}

func (l *launchers) start() (err error) {
	if l.engine, err = newLauncher(renameCalls, l.renames.decide); err != nil {
		return err
	}
	if l.collector, err = newLauncher(flushCalls, l.flushes.decide); err != nil {
		return err
	}
	l.collectorWithClock, err = newLauncher(append(clockCalls, flushCalls...), func(q *question) reply {
		if q.nr == int32(clockCalls[0].number) { //nolint:gosec // Small.
			return l.clock.decide(q)
		}
		return l.flushes.decide(q)
	})
	if err == nil {
		l.collectorWithClock.ownTime = true
	}
	return err
}

// useClock says whether the collector has a clock of its own from its next start on.
func (l *launchers) useClock(own bool) { l.withClock.Store(own) }

func (l *launchers) forEngine() *launcher { return l.engine }

func (l *launchers) forCollector() *launcher {
	if l.withClock.Load() {
		return l.collectorWithClock
	}
	return l.collector
}
