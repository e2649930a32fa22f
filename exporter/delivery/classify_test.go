package delivery

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		failure Failure
		class   Class
		reason  string
		advice  string
	}{
		{Failure{}, ClassRetry, "connection", ""},
		{Failure{Status: 500, Code: 202}, ClassRetry, "too_many_queries", ""},
		{Failure{Status: 500, Code: 241}, ClassRetry, "memory_limit", adviceFull},
		{Failure{Status: 500, Code: 242}, ClassRetry, "readonly_table", ""},
		{Failure{Status: 500, Code: 159}, ClassRetry, "timeout", ""},
		{Failure{Status: 500, Code: 209}, ClassRetry, "timeout", ""},
		{Failure{Status: 500, Code: 210}, ClassRetry, "network", ""},
		{Failure{Status: 500, Code: 252}, ClassRetry, "too_many_parts", ""},
		{Failure{Status: 500, Code: 999}, ClassRetry, "keeper", ""},
		{Failure{Status: 500, Code: 243}, ClassRetry, "disk_full", adviceFull},
		{Failure{Status: 404, Code: 60}, ClassRetry, "schema", adviceMigrate},
		{Failure{Status: 404, Code: 81}, ClassRetry, "schema", adviceMigrate},
		{Failure{Status: 404, Code: 16}, ClassRetry, "schema", adviceMigrate},
		{Failure{Status: 404, Code: 115}, ClassRetry, "version", adviceVersion},
		{Failure{Status: 403, Code: 516}, ClassRetry, "auth", adviceAuth},
		{Failure{Status: 403, Code: 497}, ClassRetry, "access_denied", adviceGrant},
		{Failure{Status: 400, Code: 33}, ClassRetry, "other", ""},
		{Failure{Status: 400, Code: 40}, ClassRetry, "other", ""},
		{Failure{Status: 500, Code: 12345}, ClassRetry, "other", ""},
		{Failure{Status: 400, Code: 53}, ClassContent, "type_mismatch", ""},
		{Failure{Status: 400, Code: 407}, ClassContent, "decimal_overflow", ""},
		{Failure{Status: 400, Code: 469}, ClassContent, "constraint", ""},
		{Failure{Status: 400, Code: 131}, ClassContent, "too_large_string", ""},
		{Failure{Status: 400, Code: 407, Message: "x: while pushing to view db.v (uuid)"}, ClassRetry, "view", "repair the materialized view"},
		{Failure{Status: 413}, ClassContent, "body_too_large", "raise the limit of the proxy in front of ClickHouse"},
		{Failure{Status: 401}, ClassRetry, "auth", adviceAuth},
		{Failure{Status: 404}, ClassRetry, "not_clickhouse", "check that the endpoint is the HTTP interface of ClickHouse"},
		{Failure{Status: 429}, ClassRetry, "http", ""},
		{Failure{Status: 400}, ClassRetry, "http", ""},
		{Failure{Status: 503}, ClassRetry, "http", ""},
	} {
		class, reason, advice := Classify(&c.failure)
		require.Equal(t, c.class, class, "%+v", c.failure)
		require.Equal(t, c.reason, reason, "%+v", c.failure)
		require.Equal(t, c.advice, advice, "%+v", c.failure)
	}
}
