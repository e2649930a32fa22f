package chaddr_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/chaddr"
)

func TestParse(t *testing.T) {
	t.Parallel()
	opts, err := chaddr.Parse("http://writer:s%23cret@ch1:8123/?max_threads=2")
	require.NoError(t, err)
	require.Equal(t, []string{"ch1:8123"}, opts.Addr)
	require.Equal(t, "s#cret", opts.Auth.Password)
	require.Nil(t, opts.TLS)
	for _, wrong := range []string{"", "ch1:8123", "clickhouse://ch1:9000", "https://u:a#b/c@h"} {
		_, err := chaddr.Parse(wrong)
		require.ErrorContains(t, err, "clickhouse address", wrong)
	}
}

// TestTLS lets clickhouse-go open a connection to a server with TLS, and sees that what it was told for that is not sent as
// a setting, which ClickHouse would refuse.
func TestTLS(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 10)
	s := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.RawQuery }))
	defer s.Close()
	opts, err := chaddr.Parse(strings.Replace(s.URL, "https://", "https://u:p@", 1) + "/?max_threads=2")
	require.NoError(t, err)
	require.NotNil(t, opts.TLS)
	opts.TLS = s.Client().Transport.(*http.Transport).TLSClientConfig
	conn, err := clickhouse.Open(opts)
	require.NoError(t, err)
	defer conn.Close()
	require.Error(t, conn.Exec(t.Context(), "SELECT 1"), "that is no ClickHouse")
	query := <-asked
	require.Contains(t, query, "max_threads=2")
	require.NotContains(t, query, "secure")
}
