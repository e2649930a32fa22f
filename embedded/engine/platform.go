package engine

import (
	"fmt"
	"os"
	"runtime"
)

// Platform is what an engine is built for, in npm's words.
type Platform struct {
	OS   string // linux, darwin
	CPU  string // x64, arm64
	Libc string // glibc or musl on Linux, else empty
}

// HostPlatform returns the platform of this machine.
func HostPlatform() Platform {
	p := Platform{OS: runtime.GOOS, CPU: runtime.GOARCH}
	if p.CPU == "amd64" {
		p.CPU = "x64"
	}
	if p.OS == "linux" {
		p.Libc = "glibc"
		// The loader that glibc programs name; musl systems have /lib/ld-musl-*.so.1 instead.
		loader := map[string]string{"x64": "/lib64/ld-linux-x86-64.so.2", "arm64": "/lib/ld-linux-aarch64.so.1"}[p.CPU]
		if _, err := os.Stat(loader); err != nil {
			p.Libc = "musl"
		}
	}
	return p
}

// String returns for example linux-x64 or linux-x64-musl.
func (p Platform) String() string {
	s := p.OS + "-" + p.CPU
	if p.Libc == "musl" {
		s += "-musl"
	}
	return s
}

// supported tells whether engine packages exist for the platform.
func (p Platform) supported() error {
	switch {
	case p.Libc == "musl":
		return fmt.Errorf("no engine package for %s: the engines need glibc; use an image with glibc such as debian:stable-slim", p)
	case (p.OS == "linux" || p.OS == "darwin") && (p.CPU == "x64" || p.CPU == "arm64"):
		return nil
	}
	return fmt.Errorf("no engine package for %s: there are packages for Linux and macOS on x64 and arm64", p)
}

func (p Platform) clickHousePackage() string {
	name := "@chdb/lib-" + p.OS + "-" + p.CPU
	if p.OS == "linux" {
		name += "-gnu"
	}
	return name
}

func (p Platform) postgresPackage() string { return "@embedded-postgres/" + p.OS + "-" + p.CPU }
