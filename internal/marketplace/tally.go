package marketplace

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
)

// tally counts what happened in the live marketplace.
type tally struct {
	mu                                          sync.Mutex
	succeeded, unsuccessful                     int
	refusals                                    map[string]int // By code.
	lost, approvals, refills, opinions, changes int
}

func (t *tally) count(n *int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*n++
}

// ended counts a run that is over.
func (t *tally) ended(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.unsuccessful++
		return
	}
	t.succeeded++
}

// refused counts a run that did not start, by why.
func (t *tally) refused(code string, status int) {
	if status != 402 && status != 403 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refusals == nil {
		t.refusals = map[string]int{}
	}
	t.refusals[code]++
}

// print writes a paragraph.
func (t *tally) print(w io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	why := make([]string, 0, len(t.refusals))
	for _, code := range slices.Sorted(maps.Keys(t.refusals)) {
		why = append(why, fmt.Sprintf("%d %s", t.refusals[code], code))
	}
	refusals := "none"
	if len(why) > 0 {
		refusals = strings.Join(why, ", ")
	}
	fmt.Fprintf(w, `
PAID THROUGH THE LEDGER, LIVE RUNS
  succeeded     %d
  without one   %d
  refused       %s
  approvals     %d asked for
  lost workers  %d, whose holds expire
  users         bought credits %d times, rated agents %d times
  changes       %d by administrators and users, each in an audit trail
`, t.succeeded, t.unsuccessful, refusals, t.approvals, t.lost, t.refills, t.opinions, t.changes)
}
