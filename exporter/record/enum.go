package record

// KindOf reads a span kind off the wire; what the protocol does not define is unspecified.
func KindOf(n int32) Kind {
	if n < 0 || n > int32(KindConsumer) {
		return KindUnspecified
	}
	return Kind(n)
}

// StatusOf reads a status code off the wire; what the protocol does not define is unset.
func StatusOf(n int32) StatusCode {
	if n < 0 || n > int32(StatusError) {
		return StatusUnset
	}
	return StatusCode(n)
}

// SeverityOf reads a severity number off the wire; what the protocol does not define (1 to 24) is absent.
func SeverityOf(n int32) uint8 {
	if n < 0 || n > 24 {
		return 0
	}
	return uint8(n)
}
