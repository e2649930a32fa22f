package main

import (
	"os"
	"strconv"
	"syscall"
)

// engineNice is how much the engine lets others of its machine go first: merges can wait, acknowledgements cannot.
const engineNice = 10

// letOthersGoFirst lowers the priority of this process: of the threads that it has, which those to come inherit it from.
// That it cannot is no reason not to run.
func letOthersGoFirst() {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, t := range threads {
		if id, err := strconv.Atoi(t.Name()); err == nil {
			_ = syscall.Setpriority(syscall.PRIO_PROCESS, id, engineNice)
		}
	}
}
