//go:build !linux

package main

func runFaults(string) int { return 1 }
