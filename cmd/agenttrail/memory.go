package main

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// memoryOf describes the resident memory of this process and of its children with their descendants, "Postgres 60
// MiB". It reads /proc and returns what it can: elsewhere than on Linux that is nothing.
func memoryOf(children map[string]int) []string {
	var lines []string
	add := func(name string, pids []int) uint64 {
		var sum uint64
		for _, pid := range pids {
			sum += residentBytes(pid)
		}
		lines = append(lines, fmt.Sprintf("%s %d MiB", name, sum>>20))
		return sum
	}
	total := add("collector", []int{os.Getpid()})
	for _, name := range slices.Sorted(maps.Keys(children)) {
		total += add(name, descendants(children[name]))
	}
	return append(lines, fmt.Sprintf("together %d MiB", total>>20))
}

// residentBytes is the memory of a process that is not shared with others plus its share of what is: its proportional
// set size, else its resident set size.
func residentBytes(pid int) uint64 {
	for _, source := range []struct{ file, key string }{{"smaps_rollup", "Pss:"}, {"status", "VmRSS:"}} {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), source.file))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == source.key {
				kib, _ := strconv.ParseUint(fields[1], 10, 64)
				return kib << 10
			}
		}
	}
	return 0
}

// descendants returns a process and everything that it started.
func descendants(pid int) []int {
	pids := []int{pid}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range tasks {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for field := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				pids = append(pids, descendants(child)...)
			}
		}
	}
	return pids
}

// withoutPassword returns an address that may be shown.
func withoutPassword(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "(unreadable address)"
	}
	return u.Redacted()
}
