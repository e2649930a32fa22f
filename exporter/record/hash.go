package record

// Hash returns a hash of everything in the request. The same request has the same hash in every process, and two that
// differ in anything have different ones.
func (t *Traces) Hash() [16]byte { panic("BUG: not written") }

// Hash returns a hash of everything in the request, see [Traces.Hash].
func (l *Logs) Hash() [16]byte { panic("BUG: not written") }

// Hash returns a hash of everything in the request, see [Traces.Hash].
func (m *Metrics) Hash() [16]byte { panic("BUG: not written") }
