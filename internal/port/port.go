// Package port keeps free ports free for servers that cannot be handed a listener.
//
// A port that was free when somebody asked may be given to another program before its server listens, and so may the port of
// a server that is stopped and started again.
package port

import (
	"context"
	"fmt"
	"net"
)

// Reserve finds a free port of a loopback address and keeps it from those who ask the system for any port, until release is
// called, which may be done twice. Who asks for this very port can listen on it, again and again; meanwhile connections are
// refused. Only Linux can do that; elsewhere the port was merely free a moment ago.
func Reserve(ctx context.Context, host string) (addr string, release func(), err error) {
	ip := net.ParseIP(host)
	if ip == nil || !ip.IsLoopback() {
		return "", nil, fmt.Errorf("reserve port: %q is no loopback address", host)
	}
	return reserve(ctx, ip)
}
