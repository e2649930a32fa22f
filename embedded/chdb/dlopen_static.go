//go:build static

package chdb

import "errors"

// errStatic is what a program says that can load no library, because it links none: that of the container image.
var errStatic = errors.New("load ClickHouse engine: this is a static build, for servers of your own: set AGENTTRAIL_CLICKHOUSE_URL, or build without the tag \"static\"")

func openLibrary(string) (*library, error) { return nil, errStatic }

func setTimezone(string) error { return errStatic }
