package chdb

import (
	"runtime"
	"unsafe"
)

// Conn is one connection to the engine: a session with settings, a current database and temporary tables. It runs one
// statement at a time and must not be used by two goroutines at once.
type Conn struct {
	engine *Engine
	lib    *library
	handle *cConn
}

// Param is the value of a {name:Type} placeholder. Value is in ClickHouse's Escaped (TabSeparated) form.
type Param struct {
	Name  string
	Value string
}

// Query runs one statement and holds its whole output in memory. format is the output format when the statement names
// none. The error is an [*Exception] when the engine refused the statement.
func (c *Conn) Query(sql, format string, params ...Param) (*Result, error) {
	var a args
	defer a.release()
	p := a.params(params)
	q, qn := a.str(sql)
	f, fn := a.str(format)
	h := c.lib.queryWithParamsN(*c.handle, q, qn, f, fn, p.names, p.nameLens, p.values, p.valueLens, p.count)
	return c.result(h)
}

// Exec runs one statement and drops its output.
func (c *Conn) Exec(sql string, params ...Param) error {
	r, err := c.Query(sql, "Null", params...)
	if err != nil {
		return err
	}
	r.Close()
	return nil
}

// Close ends the session. The last statement's stream must be closed before. Closing again does nothing.
func (c *Conn) Close() {
	if c.handle == nil {
		return
	}
	c.lib.closeConn(c.handle)
	c.handle = nil
	c.engine.released()
}

// result takes over a result handle.
func (c *Conn) result(h cResult) (*Result, error) {
	if h == nil {
		return nil, parseException("the engine gave no result")
	}
	if msg := c.lib.resultError(h); msg != nil {
		err := parseException(goString(msg))
		c.lib.destroyQueryResult(h)
		return nil, err
	}
	return &Result{lib: c.lib, handle: h}, nil
}

// args lends Go memory to one call of the engine. It stays pinned until release.
type args struct{ pin runtime.Pinner }

// empty stands for a string of no bytes: the engine asks for a pointer that is not NULL.
var empty [1]byte

func (a *args) release() { a.pin.Unpin() }

func (a *args) str(s string) (unsafe.Pointer, uintptr) {
	if s == "" {
		return unsafe.Pointer(&empty[0]), 0
	}
	p := unsafe.StringData(s)
	a.pin.Pin(p)
	return unsafe.Pointer(p), uintptr(len(s))
}

type paramArrays struct {
	names, nameLens, values, valueLens unsafe.Pointer
	count                              uintptr
}

func (a *args) params(params []Param) paramArrays {
	if len(params) == 0 {
		return paramArrays{}
	}
	names, values := make([]unsafe.Pointer, len(params)), make([]unsafe.Pointer, len(params))
	nameLens, valueLens := make([]uintptr, len(params)), make([]uintptr, len(params))
	for i, p := range params {
		names[i], nameLens[i] = a.str(p.Name)
		values[i], valueLens[i] = a.str(p.Value)
	}
	a.pin.Pin(&names[0])
	a.pin.Pin(&values[0])
	a.pin.Pin(&nameLens[0])
	a.pin.Pin(&valueLens[0])
	return paramArrays{
		names: unsafe.Pointer(&names[0]), nameLens: unsafe.Pointer(&nameLens[0]),
		values: unsafe.Pointer(&values[0]), valueLens: unsafe.Pointer(&valueLens[0]),
		count: uintptr(len(params)),
	}
}
