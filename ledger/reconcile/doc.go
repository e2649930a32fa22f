// Package reconcile compares what users were charged with what telemetry says their runs used.
//
// Both sides give their runs of a time in the order of their ids, and are read side by side, so that memory does not grow
// with the number of runs. A run that only one side has in that time is looked up on the other by its id: it may have
// been settled, or stored, just before or after. Nothing is corrected here; see [ledger.Reconciliations].
package reconcile
