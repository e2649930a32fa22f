//go:build !linux

package main

// letOthersGoFirst does nothing here.
func letOthersGoFirst() {}
