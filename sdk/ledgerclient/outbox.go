package ledgerclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

// settlement is what is to become of a hold.
type settlement struct {
	HoldID      uuid.UUID       `json:"holdId"`
	ExecutionID string          `json:"executionId"`
	Capture     *ledger.Credits `json:"capture,omitempty"` // nil releases.
	At          time.Time       `json:"at"`
}

// outboxInterval is how often what is in the outbox is tried again.
const outboxInterval = 2 * time.Second

// outbox keeps settlements in a folder, one file each, until the ledger has answered. Settling twice is harmless, so that
// nothing is lost when a process dies between an answer and the removal of the file.
type outbox struct {
	dir    string
	settle func(context.Context, settlement) error // nil error: answered for good.

	mu   sync.Mutex
	busy map[uuid.UUID]bool // PaidRun is at it.

	stop context.CancelFunc
	done chan struct{}
}

func openOutbox(dir string, settle func(context.Context, settlement) error) (*outbox, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make outbox: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	o := &outbox{dir: dir, settle: settle, busy: map[uuid.UUID]bool{}, stop: stop, done: make(chan struct{})}
	go o.run(ctx)
	return o, nil
}

// put makes a settlement safe. It is left to the caller until free is called.
func (o *outbox) put(s settlement) error {
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("write settlement: %w", err)
	}
	o.mu.Lock()
	o.busy[s.HoldID] = true
	o.mu.Unlock()
	if err := o.write(o.path(s.HoldID), text); err != nil {
		o.free(s.HoldID)
		return fmt.Errorf("write settlement: %w", err)
	}
	return nil
}

// write makes a file durable before it has its name.
func (o *outbox) write(path string, text []byte) error {
	f, err := os.CreateTemp(o.dir, ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(o.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (o *outbox) path(hold uuid.UUID) string { return filepath.Join(o.dir, hold.String()+".json") }

// remove forgets a settlement that was answered.
func (o *outbox) remove(hold uuid.UUID) error {
	defer o.free(hold)
	if err := os.Remove(o.path(hold)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove settlement: %w", err)
	}
	return nil
}

// free leaves a settlement to the outbox.
func (o *outbox) free(hold uuid.UUID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.busy, hold)
}

func (o *outbox) run(ctx context.Context) {
	defer close(o.done)
	tick := time.NewTicker(outboxInterval)
	defer tick.Stop()
	for {
		o.settleAll(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// settleAll tries everything that nobody is at.
func (o *outbox) settleAll(ctx context.Context) {
	kept, err := o.kept()
	if err != nil {
		return // The folder is away; the next time it may be there.
	}
	for _, s := range kept {
		o.mu.Lock()
		busy := o.busy[s.HoldID]
		o.mu.Unlock()
		if busy || ctx.Err() != nil {
			continue
		}
		if o.settle(ctx, s) == nil {
			_ = o.remove(s.HoldID) // Else it is settled again, which is harmless.
		}
	}
}

// kept reads all settlements. What cannot be read was not written by put, and stays where it is.
func (o *outbox) kept() ([]settlement, error) {
	entries, err := os.ReadDir(o.dir)
	if err != nil {
		return nil, fmt.Errorf("read outbox: %w", err)
	}
	var all []settlement
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || filepath.Ext(e.Name()) != ".json" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(o.dir, e.Name()))
		if err != nil {
			continue
		}
		var s settlement
		if json.Unmarshal(text, &s) == nil && s.HoldID != uuid.Nil {
			all = append(all, s)
		}
	}
	return all, nil
}

func (o *outbox) close(ctx context.Context) error {
	o.stop()
	select {
	case <-o.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
