// Package engines holds the pinned list of database engines that agenttrail runs on one machine: the npm
// manifest, its lock file and the npm settings, embedded so that the binary can install without a checkout.
package engines

import _ "embed"

// PackageJSON names each engine package at one exact version, for every platform.
//
//go:embed package.json
var PackageJSON []byte

// PackageLock is the npm lock file that belongs to PackageJSON. It holds no download addresses: npm asks the
// registry that its own configuration names.
//
//go:embed package-lock.json
var PackageLock []byte

// NPMRC is the .npmrc that keeps addresses out of the lock file whenever npm rewrites it.
//
//go:embed .npmrc
var NPMRC []byte
