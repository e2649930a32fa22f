package chdb

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"
)

// Opaque handles of chdb.h. They point to memory of the engine, never to Go memory.
type (
	cConn   = unsafe.Pointer // chdb_connection
	cResult = unsafe.Pointer // chdb_result *
	cInsert = unsafe.Pointer // chdb_insert_stream
)

// library holds the entry points of one loaded libchdb. Names follow chdb.h without the chdb_ prefix.
type library struct {
	version                  func() unsafe.Pointer
	setSignalHandlersEnabled func(enabled int32)
	connect                  func(argc int32, argv unsafe.Pointer) *cConn
	closeConn                func(conn *cConn)
	shutdown                 func() int32

	queryWithParamsN func(conn cConn, query unsafe.Pointer, queryLen uintptr, format unsafe.Pointer, formatLen uintptr,
		names, nameLens, values, valueLens unsafe.Pointer, count uintptr) cResult
	streamQueryWithParamsN func(conn cConn, query unsafe.Pointer, queryLen uintptr, format unsafe.Pointer, formatLen uintptr,
		names, nameLens, values, valueLens unsafe.Pointer, count uintptr) cResult
	streamFetchResult  func(conn cConn, stream cResult) cResult
	streamCancelQuery  func(conn cConn, stream cResult)
	destroyQueryResult func(result cResult)

	streamInsertWithParamsN func(conn cConn, query unsafe.Pointer, queryLen uintptr, format unsafe.Pointer, formatLen uintptr,
		names, nameLens, values, valueLens unsafe.Pointer, count uintptr) cInsert
	streamAppend        func(stream cInsert, data unsafe.Pointer, size uintptr) int32
	streamDone          func(stream cInsert) cResult
	streamCancelInsert  func(stream cInsert)
	streamInsertError   func(stream cInsert) unsafe.Pointer
	destroyInsertStream func(stream cInsert)

	resultBuffer           func(result cResult) unsafe.Pointer
	resultLength           func(result cResult) uintptr
	resultRowsRead         func(result cResult) uint64
	resultBytesRead        func(result cResult) uint64
	resultStorageRowsRead  func(result cResult) uint64
	resultStorageBytesRead func(result cResult) uint64
	resultRowsWritten      func(result cResult) uint64
	resultBytesWritten     func(result cResult) uint64
	resultError            func(result cResult) unsafe.Pointer
}

// loaded keeps the library for the life of the process: it cannot be unloaded once its threads have run.
var loaded struct {
	sync.Mutex
	path string
	lib  *library
}

// load opens the shared library and binds its functions. A second call must name the same file.
//
// timezone, when given, becomes the C library's TZ: the engine reads it once, at its start, and os.Setenv does not reach C
// in a binary without cgo.
func load(path, timezone string) (*library, error) {
	loaded.Lock()
	defer loaded.Unlock()
	if loaded.lib != nil {
		if loaded.path != path {
			return nil, fmt.Errorf("load ClickHouse engine: %s is already loaded in this process; one process can hold one engine", loaded.path)
		}
		return loaded.lib, nil
	}
	if path == "" {
		return nil, errors.New("load ClickHouse engine: no library path; install the engines with `agenttrail engines`")
	}
	if timezone != "" {
		if err := setTimezone(timezone); err != nil {
			return nil, err
		}
	}
	lib, err := openLibrary(path)
	if err != nil {
		return nil, err
	}
	// Must come before the first connection (chdb.h): all signals stay with the Go runtime.
	lib.setSignalHandlersEnabled(0)
	loaded.path, loaded.lib = path, lib
	return lib, nil
}

// goString copies a NUL-terminated string of the engine. A nil pointer gives "".
func goString(p unsafe.Pointer) string {
	if p == nil {
		return ""
	}
	n := 0
	for *(*byte)(unsafe.Add(p, n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(p), n))
}
