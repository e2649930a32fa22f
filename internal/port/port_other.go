//go:build !linux

package port

import (
	"context"
	"fmt"
	"net"
)

func reserve(ctx context.Context, ip net.IP) (addr string, release func(), err error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", net.JoinHostPort(ip.String(), "0"))
	if err != nil {
		return "", nil, fmt.Errorf("reserve port: %w", err)
	}
	if err := ln.Close(); err != nil {
		return "", nil, fmt.Errorf("reserve port: %w", err)
	}
	return ln.Addr().String(), func() {}, nil
}
