package reconcile

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/agenttrail/agenttrail/ledger"
)

// Defaults of [Config].
const (
	DefaultWindow = 72 * time.Hour
	DefaultGrace  = 10 * time.Minute
)

// batch is how many runs are looked up or written down together.
const batch = 1000

// Store is the ledger's side. Package pgstore implements it.
type Store interface {
	// Charges gives the runs that were settled in a time, in the order of the bytes of their ids.
	Charges(ctx context.Context, since, until time.Time) iter.Seq2[ledger.Charge, error]
	// ChargesOf finds runs, settled or not, and those that were charged by a correction alone.
	ChargesOf(ctx context.Context, executions []string) ([]ledger.Charge, error)
	// OpenItems lists runs that do not agree and were not compared since a moment, in the order of the bytes of their ids,
	// after one of them.
	OpenItems(ctx context.Context, before time.Time, after string, limit int) ([]ledger.ReconItem, error)
	// SaveCompared writes down how runs compare and returns their states.
	SaveCompared(ctx context.Context, at time.Time, list []ledger.Compared) ([]ledger.ReconState, error)
	// AddReconRun writes a comparison down.
	AddReconRun(ctx context.Context, r ledger.ReconRun) error
	// Publish gives f what was not published.
	Publish(ctx context.Context, limit int, f func(ctx context.Context, items []ledger.ReconItem, runs []ledger.ReconRun) error) (int, error)
}

// Telemetry is the other side. Package chread implements it.
type Telemetry interface {
	// Consumptions gives the runs that were stored in a time, in the order of the bytes of their ids, each once. Only rows
	// of that time count.
	Consumptions(ctx context.Context, since, until time.Time) iter.Seq2[ledger.Consumption, error]
	// ConsumptionsOf finds runs that began in a time, with all their rows.
	ConsumptionsOf(ctx context.Context, executions []string, from, until time.Time) ([]ledger.Consumption, error)
	// PublishReconciliation writes down how runs compare, for dashboards. The same again does no harm.
	PublishReconciliation(ctx context.Context, items []ledger.ReconItem, runs []ledger.ReconRun) error
}

// Config says what is compared.
type Config struct {
	Window time.Duration    // how far back; late telemetry is found for so long. DefaultWindow if 0
	Grace  time.Duration    // what is younger is left for the next time; DefaultGrace if 0, nothing if less
	Now    func() time.Time // time.Now if nil
}

// Reconciler compares.
type Reconciler struct {
	store     Store
	telemetry Telemetry
	cfg       Config
}

// New makes a reconciler. Nothing is opened.
func New(store Store, telemetry Telemetry, cfg Config) *Reconciler {
	if cfg.Window == 0 {
		cfg.Window = DefaultWindow
	}
	if cfg.Grace == 0 {
		cfg.Grace = DefaultGrace
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Reconciler{store: store, telemetry: telemetry, cfg: cfg}
}

// Run compares the runs of the window, and those that did not agree before whatever their age. Each that does not agree is
// given to found, which may be nil, and written down; runs that never ended are given to found only, as
// [ledger.ReconExpired]. It can run twice, and together with another one: both write the
// same.
func (r *Reconciler) Run(ctx context.Context, found func(ledger.Compared, ledger.ReconState)) (ledger.ReconRun, error) {
	now := r.cfg.Now().UTC()
	c := &comparison{Reconciler: r, found: found, run: ledger.ReconRun{
		Since: now.Add(-r.cfg.Window).Truncate(time.Millisecond), Until: now.Add(-max(0, r.cfg.Grace)).Truncate(time.Millisecond), StartedAt: now,
	}}
	for p, err := range merge(r.store.Charges(ctx, c.run.Since, c.run.Until), r.telemetry.Consumptions(ctx, c.run.Since, c.run.Until)) {
		if err == nil {
			err = c.take(ctx, p)
		}
		if err != nil {
			return c.run, fmt.Errorf("reconcile: %w", err)
		}
	}
	if err := errors.Join(c.lookUpUsed(ctx), c.lookUpCharged(ctx), c.flush(ctx)); err != nil {
		return c.run, fmt.Errorf("reconcile: %w", err)
	}
	if err := c.again(ctx); err != nil {
		return c.run, fmt.Errorf("reconcile again what did not agree: %w", err)
	}
	c.run.FinishedAt = r.cfg.Now().UTC()
	if err := r.store.AddReconRun(ctx, c.run); err != nil {
		return c.run, fmt.Errorf("write reconciliation down: %w", err)
	}
	return c.run, nil
}

// Publish writes what has changed to telemetry's store, and returns how much that was.
func (r *Reconciler) Publish(ctx context.Context) (total int, err error) {
	for {
		n, err := r.store.Publish(ctx, batch, r.telemetry.PublishReconciliation)
		total += n
		if err != nil {
			return total, fmt.Errorf("publish reconciliation: %w", err)
		}
		if n < batch {
			return total, nil
		}
	}
}

// comparison is one that is under way. What it keeps is bounded by the size of a batch.
type comparison struct {
	*Reconciler
	run   ledger.ReconRun
	found func(ledger.Compared, ledger.ReconState)

	charged []ledger.Charge      // to be looked up in telemetry
	used    []ledger.Consumption // to be looked up in the ledger
	differ  []ledger.Compared    // to be written down
}

// take compares a run that both sides have, and puts off one that only one has.
func (c *comparison) take(ctx context.Context, p pair) error {
	switch {
	case p.used == nil:
		if c.charged = append(c.charged, *p.charge); len(c.charged) < batch {
			return nil
		}
		return c.lookUpUsed(ctx)
	case p.charge == nil:
		if c.used = append(c.used, *p.used); len(c.used) < batch {
			return nil
		}
		return c.lookUpCharged(ctx)
	default:
		return c.compare(ctx, p.charge, p.used)
	}
}

// lookUpUsed finds what telemetry has of runs that were settled in the time.
func (c *comparison) lookUpUsed(ctx context.Context) error {
	list := c.charged
	c.charged = nil
	used, err := c.consumptionsOf(ctx, list)
	if err != nil {
		return err
	}
	for i := range list {
		if err := c.compare(ctx, &list[i], used[list[i].ExecutionID]); err != nil {
			return err
		}
	}
	return nil
}

// Runs begin and end by the platform's clock, and are authorized and settled by the ledger's. This is how much their times
// may differ, and how much later than its authorization a run may begin.
const clockSlack = 24 * time.Hour

func (c *comparison) consumptionsOf(ctx context.Context, charges []ledger.Charge) (map[string]*ledger.Consumption, error) {
	if len(charges) == 0 {
		return nil, nil
	}
	ids, from, until := make([]string, len(charges)), charges[0].From, charges[0].Until
	for i, charge := range charges {
		ids[i] = charge.ExecutionID
		if charge.From.Before(from) {
			from = charge.From
		}
		if charge.Until.After(until) {
			until = charge.Until
		}
	}
	all, err := c.telemetry.ConsumptionsOf(ctx, ids, from.Add(-clockSlack), until.Add(clockSlack))
	return byExecution(all, func(u ledger.Consumption) string { return u.ExecutionID }), err
}

func byExecution[T any](all []T, key func(T) string) map[string]*T {
	m := make(map[string]*T, len(all))
	for i := range all {
		m[key(all[i])] = &all[i]
	}
	return m
}

// lookUpCharged finds what the ledger has of runs that telemetry stored in the time. Of those that it has, telemetry is asked
// for all rows: they were settled in another time, and may have been stored in another one, too.
func (c *comparison) lookUpCharged(ctx context.Context) error {
	list := c.used
	c.used = nil
	if len(list) == 0 {
		return nil
	}
	ids := make([]string, 0, len(list))
	for _, used := range list {
		if isExecutionID(used.ExecutionID) {
			ids = append(ids, used.ExecutionID)
		}
	}
	charges, err := c.store.ChargesOf(ctx, ids)
	if err != nil {
		return err
	}
	whole, err := c.consumptionsOf(ctx, charges)
	if err != nil {
		return err
	}
	charged := byExecution(charges, func(x ledger.Charge) string { return x.ExecutionID })
	for i := range list {
		used := &list[i]
		if all := whole[used.ExecutionID]; all != nil && all.Rows > used.Rows {
			used = all
		}
		if err := c.compare(ctx, charged[used.ExecutionID], used); err != nil {
			return err
		}
	}
	return nil
}

// maxExecutionID is how long an id can be to be written down as it is. The ledger's own are shorter.
const maxExecutionID = 512

// isExecutionID tells whether the ledger can know an id of telemetry, which may be anything.
func isExecutionID(id string) bool {
	return len(id) <= maxExecutionID && utf8.ValidString(id) && !strings.ContainsRune(id, 0)
}

// compared puts together what both sides have of a run; one of them may have nothing.
func compared(charge *ledger.Charge, used *ledger.Consumption) ledger.Compared {
	var c ledger.Compared
	if used != nil {
		c.ExecutionID, c.UserID, c.Agent = used.ExecutionID, used.UserID, used.Agent
		c.Consumed, c.Rows = &used.Consumed, used.Rows
	}
	if charge != nil {
		c.ExecutionID, c.UserID, c.Agent, c.TransactionID = charge.ExecutionID, charge.UserID.String(), charge.Agent, charge.TransactionID
		c.Captured, c.Adjusted = charge.Captured, charge.Adjusted
	}
	return c
}

func (c *comparison) compare(ctx context.Context, charge *ledger.Charge, used *ledger.Consumption) error {
	if charge == nil && used != nil && used.Imported { // One that the ledger knows all the same is compared.
		c.run.Imported++
		return nil
	}
	x := compared(charge, used)
	if !isExecutionID(x.ExecutionID) {
		x.ExecutionID = fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(x.ExecutionID)))
	}
	var err, more error
	c.run.Executions++
	c.run.Captured, err = c.run.Captured.Add(x.Captured + x.Adjusted)
	if used != nil {
		c.run.Consumed, more = c.run.Consumed.Add(used.Consumed)
	}
	if err := errors.Join(err, more); err != nil {
		return err
	}
	state := x.State()
	if !state.Open() {
		c.run.Count(state)
		if charge != nil && charge.Expired && used == nil {
			c.run.Expired++
			if c.found != nil {
				c.found(x, ledger.ReconExpired)
			}
		}
		return nil
	}
	if c.differ = append(c.differ, x); len(c.differ) < batch {
		return nil
	}
	return c.flush(ctx)
}

// flush writes down what does not agree.
func (c *comparison) flush(ctx context.Context) error {
	list := c.differ
	c.differ = nil
	states, err := c.save(ctx, list)
	if err != nil {
		return err
	}
	for i, state := range states {
		c.run.Count(state)
		if c.found != nil {
			c.found(list[i], state)
		}
	}
	return nil
}

func (c *comparison) save(ctx context.Context, list []ledger.Compared) ([]ledger.ReconState, error) {
	if len(list) == 0 {
		return nil, nil
	}
	return c.store.SaveCompared(ctx, c.run.StartedAt, list)
}

// again compares what did not agree before and did not come up now: it agrees by now, or it is older than the window.
func (c *comparison) again(ctx context.Context) error {
	after := ""
	for {
		items, err := c.store.OpenItems(ctx, c.run.StartedAt, after, batch)
		if err != nil || len(items) == 0 {
			return err
		}
		after = items[len(items)-1].ExecutionID
		if err := c.againThese(ctx, items); err != nil {
			return err
		}
	}
}

func (c *comparison) againThese(ctx context.Context, items []ledger.ReconItem) error {
	ids := make([]string, len(items))
	for i, item := range items {
		ids[i] = item.ExecutionID
	}
	charges, err := c.store.ChargesOf(ctx, ids)
	if err != nil {
		return err
	}
	used, err := c.consumptionsOf(ctx, charges)
	if err != nil {
		return err
	}
	charged := byExecution(charges, func(x ledger.Charge) string { return x.ExecutionID })
	list := make([]ledger.Compared, 0, len(items))
	for _, item := range items {
		if charge := charged[item.ExecutionID]; charge != nil {
			list = append(list, compared(charge, used[item.ExecutionID]))
		} else if c.found != nil { // What is in telemetry alone stays as it was; nothing says where to look for it.
			c.found(ledger.Compared{ExecutionID: item.ExecutionID, UserID: item.UserID, Agent: item.Agent, Figures: item.Figures}, item.State)
		}
	}
	states, err := c.save(ctx, list)
	if err != nil {
		return err
	}
	for i, state := range states {
		if state.Open() && c.found != nil {
			c.found(list[i], state)
		}
	}
	return nil
}
