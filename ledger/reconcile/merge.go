package reconcile

import (
	"fmt"
	"iter"
	"strings"

	"github.com/agenttrail/agenttrail/ledger"
)

// pair is what both sides have of a run in the time that is compared; one of them may have nothing.
type pair struct {
	charge *ledger.Charge
	used   *ledger.Consumption
}

// merge gives the runs of both sides in the order of their ids. Each side must be in the order of the bytes of its ids, each
// id once.
func merge(charges iter.Seq2[ledger.Charge, error], used iter.Seq2[ledger.Consumption, error]) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		left := newSide("ledger", charges, func(c ledger.Charge) string { return c.ExecutionID })
		defer left.stop()
		right := newSide("telemetry", used, func(c ledger.Consumption) string { return c.ExecutionID })
		defer right.stop()
		left.next()
		right.next()
		for left.err == nil && right.err == nil && (left.ok || right.ok) {
			var p pair
			var order int
			switch {
			case !left.ok:
				order = 1
			case !right.ok:
				order = -1
			default:
				order = strings.Compare(left.id, right.id)
			}
			if order <= 0 {
				charge := left.item
				p.charge = &charge
				left.next()
			}
			if order >= 0 {
				used := right.item
				p.used = &used
				right.next()
			}
			if !yield(p, nil) {
				return
			}
		}
		for _, err := range []error{left.err, right.err} {
			if err != nil {
				yield(pair{}, err)
				return
			}
		}
	}
}

// side is one of the two, with the item that is its turn.
type side[T any] struct {
	name string
	pull func() (T, error, bool)
	stop func()
	key  func(T) string

	item T
	id   string
	ok   bool
	err  error
}

func newSide[T any](name string, items iter.Seq2[T, error], key func(T) string) *side[T] {
	s := &side[T]{name: name, key: key}
	s.pull, s.stop = iter.Pull2(items)
	return s
}

func (s *side[T]) next() {
	item, err, ok := s.pull()
	if err != nil {
		s.ok, s.err = false, fmt.Errorf("read runs of %s: %w", s.name, err)
		return
	}
	before, first := s.id, s.ok
	s.item, s.ok = item, ok
	if !ok {
		return
	}
	s.id = s.key(item)
	if first && s.id <= before {
		s.ok, s.err = false, fmt.Errorf("read runs of %s: %q came after %q, so nothing can be compared", s.name, s.id, before)
	}
}
