package delivery

import (
	"sync"

	"go.uber.org/zap"
)

// disk tells when the journal's disk stops and begins to work, by what it is needed for.
type disk struct {
	logger *zap.Logger

	mu     sync.Mutex
	broken map[string]bool
}

func newDisk(logger *zap.Logger) *disk { return &disk{logger: logger, broken: map[string]bool{}} }

// note notes an outcome. verb says what was to be done.
func (d *disk) note(verb string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if (err != nil) == d.broken[verb] {
		return
	}
	d.broken[verb] = err != nil
	if err != nil {
		d.logger.Error("The journal does not work; its rows wait until it does", zap.String("verb", verb), zap.Error(err))
		return
	}
	d.logger.Info("The journal works again", zap.String("verb", verb))
}
