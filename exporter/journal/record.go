package journal

// Hash tells requests apart. The zero Hash stands for a request that is never a duplicate.
type Hash [16]byte

// Record is a request, or a part of one that was split.
type Record struct {
	Hash Hash
	Part uint32 // Of a request that was split; from 0.
	// Data is what is written. It is the caller's again when Append returns.
	Data []byte
	// Value is what Data was made of. The segment keeps it until Spill or Remove, so that it need not be read back.
	Value any
	Bytes int64 // Memory that Value takes.
}
