//go:build !static

package chdb

import (
	"errors"
	"fmt"

	"github.com/ebitengine/purego"
)

// openLibrary opens the shared library and binds its functions.
func openLibrary(path string) (*library, error) {
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
