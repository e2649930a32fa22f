package delivery

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAutoCompressesOverANetworkOnly(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]Compression{
		"http://127.0.0.1:8123":          CompressionNone,
		"http://127.8.0.1":               CompressionNone,
		"https://localhost:8443/?a=1":    CompressionNone,
		"http://[::1]:8123":              CompressionNone,
		"http://[::ffff:127.0.0.1]:8123": CompressionNone,
		"http://10.0.0.7:8123":           CompressionLZ4,
		"http://clickhouse:8123":         CompressionLZ4,
		"http://localhost.example:8123":  CompressionLZ4,
		"http://[fe80::1]:8123":          CompressionLZ4,
	} {
		u, err := url.Parse(endpoint)
		require.NoError(t, err)
		require.Equal(t, want, CompressionAuto.of(u), endpoint)
		for _, c := range []Compression{CompressionNone, CompressionLZ4, CompressionZSTD} {
			require.Equal(t, c, c.of(u), endpoint)
		}
	}
}

func TestRowsAreCollectedForAsLongAsTheIntervalSays(t *testing.T) {
	t.Parallel()
	require.Equal(t, 5*time.Second, Settings{}.withDefaults().openAtMost)
	require.Equal(t, time.Minute, Settings{FlushInterval: time.Minute}.withDefaults().openAtMost)
}
