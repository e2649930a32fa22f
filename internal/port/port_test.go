package port_test

import (
	"net"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/port"
)

func TestReserve(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can keep a port")
	}
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			addr, release, err := port.Reserve(t.Context(), host)
			if host == "::1" && err != nil {
				t.Skip("this machine has no IPv6:", err)
			}
			require.NoError(t, err)
			require.ErrorIs(t, bindWithoutReuse(t, addr), syscall.EADDRINUSE, "it is not free, although nobody listens")
			release()
			release()
			require.NoError(t, bindWithoutReuse(t, addr))

			addr, release, err = port.Reserve(t.Context(), host)
			require.NoError(t, err)
			defer release()
			var dialer net.Dialer
			for range 3 {
				_, err := dialer.DialContext(t.Context(), "tcp", addr)
				require.ErrorIs(t, err, syscall.ECONNREFUSED, "nobody listens")
				var lc net.ListenConfig
				ln, err := lc.Listen(t.Context(), "tcp", addr)
				require.NoError(t, err)
				conn, err := dialer.DialContext(t.Context(), "tcp", addr)
				require.NoError(t, err)
				require.NoError(t, conn.Close())
				require.NoError(t, ln.Close())
			}
		})
	}
}

// bindWithoutReuse tries to bind an address as the system does for who asks for any port: only if nobody has it.
func bindWithoutReuse(t *testing.T, addr string) error {
	t.Helper()
	host, number, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	n, err := strconv.Atoi(number)
	require.NoError(t, err)
	var to syscall.Sockaddr
	family := syscall.AF_INET
	if ip := net.ParseIP(host); ip.To4() != nil {
		to = &syscall.SockaddrInet4{Port: n, Addr: [4]byte(ip.To4())}
	} else {
		family, to = syscall.AF_INET6, &syscall.SockaddrInet6{Port: n, Addr: [16]byte(ip)}
	}
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, syscall.Close(fd)) }()
	return syscall.Bind(fd, to)
}

func TestReserveOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"", "0.0.0.0", "localhost", "192.0.2.1"} {
		_, _, err := port.Reserve(t.Context(), host)
		require.ErrorContains(t, err, "loopback", host)
	}
}
