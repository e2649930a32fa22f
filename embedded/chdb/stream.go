package chdb

import "io"

// Stream is a running SELECT whose output is fetched block by block. Its connection runs nothing else until Close.
type Stream struct {
	conn   *Conn
	handle cResult
	ended  bool
}

// Stream starts a statement whose output is fetched chunk by chunk, so that memory stays bounded. Statements without
// output run to their end here.
func (c *Conn) Stream(sql, format string, params ...Param) (*Stream, error) {
	var a args
	defer a.release()
	p := a.params(params)
	q, qn := a.str(sql)
	f, fn := a.str(format)
	h := c.lib.streamQueryWithParamsN(*c.handle, q, qn, f, fn, p.names, p.nameLens, p.values, p.valueLens, p.count)
	r, err := c.result(h)
	if err != nil {
		return nil, err
	}
	return &Stream{conn: c, handle: r.handle}, nil
}

// Next fetches the next chunk; the caller closes it. It gives io.EOF at the end and an [*Exception] when the statement
// failed on the way.
func (s *Stream) Next() (*Result, error) {
	if s.ended {
		return nil, io.EOF
	}
	r, err := s.conn.result(s.conn.lib.streamFetchResult(*s.conn.handle, s.handle))
	if err != nil {
		s.ended = true
		return nil, err
	}
	if s.conn.lib.resultLength(r.handle) == 0 {
		s.ended = true
		r.Close()
		return nil, io.EOF
	}
	return r, nil
}

// Close ends the statement, canceling it when its output was not fetched to the end. Closing again does nothing.
func (s *Stream) Close() {
	if s.handle == nil {
		return
	}
	if !s.ended {
		s.conn.lib.streamCancelQuery(*s.conn.handle, s.handle)
	}
	s.conn.lib.destroyQueryResult(s.handle)
	s.handle = nil
}
