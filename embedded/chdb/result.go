package chdb

import "unsafe"

// Result is the output of a statement, or one chunk of a stream. It lives in memory of the engine until Close.
type Result struct {
	lib    *library
	handle cResult
}

// Stats counts what a statement has read and written.
type Stats struct {
	ReadRows     uint64 // rows read from storage
	ReadBytes    uint64 // bytes read from storage, uncompressed
	WrittenRows  uint64 // rows written, those of materialized views included
	WrittenBytes uint64 // bytes written, likewise
	ResultRows   uint64 // rows of the result
	ResultBytes  uint64 // bytes of the result's columns in memory
}

// Add adds the counts of another chunk.
func (s *Stats) Add(o Stats) {
	s.ReadRows += o.ReadRows
	s.ReadBytes += o.ReadBytes
	s.WrittenRows += o.WrittenRows
	s.WrittenBytes += o.WrittenBytes
	s.ResultRows += o.ResultRows
	s.ResultBytes += o.ResultBytes
}

// Bytes is the formatted output. It must not be used after Close.
func (r *Result) Bytes() []byte {
	n := r.lib.resultLength(r.handle)
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(r.lib.resultBuffer(r.handle)), n)
}

// Stats are the counts of this result or chunk.
func (r *Result) Stats() Stats {
	return Stats{
		ReadRows:     r.lib.resultStorageRowsRead(r.handle),
		ReadBytes:    r.lib.resultStorageBytesRead(r.handle),
		WrittenRows:  r.lib.resultRowsWritten(r.handle),
		WrittenBytes: r.lib.resultBytesWritten(r.handle),
		ResultRows:   r.lib.resultRowsRead(r.handle),
		ResultBytes:  r.lib.resultBytesRead(r.handle),
	}
}

// Close frees the memory. Closing again does nothing.
func (r *Result) Close() {
	if r.handle == nil {
		return
	}
	r.lib.destroyQueryResult(r.handle)
	r.handle = nil
}
