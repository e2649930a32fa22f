package chdb

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
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
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("load ClickHouse engine: %w; install the engines with `agenttrail engines`", err)
	}
	lib := &library{}
	for name, fn := range map[string]any{
		"chdb_version":                     &lib.version,
		"chdb_set_signal_handlers_enabled": &lib.setSignalHandlersEnabled,
		"chdb_connect":                     &lib.connect,
		"chdb_close_conn":                  &lib.closeConn,
		"chdb_shutdown":                    &lib.shutdown,
		"chdb_query_with_params_n":         &lib.queryWithParamsN,
		"chdb_stream_query_with_params_n":  &lib.streamQueryWithParamsN,
		"chdb_stream_fetch_result":         &lib.streamFetchResult,
		"chdb_stream_cancel_query":         &lib.streamCancelQuery,
		"chdb_destroy_query_result":        &lib.destroyQueryResult,
		"chdb_stream_insert_with_params_n": &lib.streamInsertWithParamsN,
		"chdb_stream_append":               &lib.streamAppend,
		"chdb_stream_done":                 &lib.streamDone,
		"chdb_stream_cancel_insert":        &lib.streamCancelInsert,
		"chdb_stream_insert_error":         &lib.streamInsertError,
		"chdb_destroy_insert_stream":       &lib.destroyInsertStream,
		"chdb_result_buffer":               &lib.resultBuffer,
		"chdb_result_length":               &lib.resultLength,
		"chdb_result_rows_read":            &lib.resultRowsRead,
		"chdb_result_bytes_read":           &lib.resultBytesRead,
		"chdb_result_storage_rows_read":    &lib.resultStorageRowsRead,
		"chdb_result_storage_bytes_read":   &lib.resultStorageBytesRead,
		"chdb_result_rows_written":         &lib.resultRowsWritten,
		"chdb_result_bytes_written":        &lib.resultBytesWritten,
		"chdb_result_error":                &lib.resultError,
	} {
		sym, err := purego.Dlsym(handle, name)
		if err != nil {
			return nil, fmt.Errorf("load ClickHouse engine %s: %w; this build needs libchdb 26.7 or newer", path, err)
		}
		purego.RegisterFunc(fn, sym)
	}
	if err := stopOnFailedWrites(handle, path); err != nil {
		return nil, err
	}
	// Must come before the first connection (chdb.h): all signals stay with the Go runtime.
	lib.setSignalHandlersEnabled(0)
	loaded.path, loaded.lib = path, lib
	return lib, nil
}

// setTimezone sets TZ in the C environment.
func setTimezone(name string) error {
	sym, err := purego.Dlsym(purego.RTLD_DEFAULT, "setenv")
	if err != nil {
		return fmt.Errorf("set time zone of the ClickHouse engine: %w", err)
	}
	var setenv func(name, value string, overwrite int32) int32
	purego.RegisterFunc(&setenv, sym)
	if setenv("TZ", name, 1) != 0 {
		return errors.New("set time zone of the ClickHouse engine: setenv refused")
	}
	return nil
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
