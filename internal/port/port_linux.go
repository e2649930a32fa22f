package port

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
)

// reserve holds a socket that is bound and does not listen. Linux lets others bind the same port when all have SO_REUSEADDR,
// as servers do, and none listens.
func reserve(_ context.Context, ip net.IP) (addr string, release func(), err error) {
	var family int
	var anyPort syscall.Sockaddr
	if a, _ := netip.AddrFromSlice(ip); a.Unmap().Is4() {
		family, anyPort = syscall.AF_INET, &syscall.SockaddrInet4{Addr: a.Unmap().As4()}
	} else {
		family, anyPort = syscall.AF_INET6, &syscall.SockaddrInet6{Addr: a.As16()}
	}
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", nil, fmt.Errorf("reserve port: %w", err)
	}
	release = sync.OnceFunc(func() { _ = syscall.Close(fd) })
	err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err == nil {
		err = syscall.Bind(fd, anyPort)
	}
	var bound syscall.Sockaddr
	if err == nil {
		bound, err = syscall.Getsockname(fd)
	}
	if err != nil {
		release()
		return "", nil, fmt.Errorf("reserve port: %w", err)
	}
	var number int
	switch b := bound.(type) {
	case *syscall.SockaddrInet4:
		number = b.Port
	case *syscall.SockaddrInet6:
		number = b.Port
	}
	return net.JoinHostPort(ip.String(), strconv.Itoa(number)), release, nil
}
