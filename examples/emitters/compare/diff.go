package main

import "slices"

// diffLines returns the lines that only one side has, marked - and +, under the last line that both have.
func diffLines(want, got []string) []string {
	head := 0
	for head < len(want) && head < len(got) && want[head] == got[head] {
		head++
	}
	tail := 0
	for tail < len(want)-head && tail < len(got)-head && want[len(want)-1-tail] == got[len(got)-1-tail] {
		tail++
	}
	last := -1 // the last common line, in want
	if head > 0 {
		last = head - 1
	}
	a, b := want[head:len(want)-tail], got[head:len(got)-tail]
	longest := common(a, b)
	var out []string
	context := func() {
		if last >= 0 {
			out = append(out, "    "+want[last])
			last = -1
		}
	}
	for i, k := 0, 0; i < len(a) || k < len(b); {
		switch {
		case i < len(a) && k < len(b) && a[i] == b[k]:
			last = head + i
			i, k = i+1, k+1
		case k == len(b) || (i < len(a) && longest[i+1][k] >= longest[i][k+1]):
			context()
			out = append(out, "  - "+a[i])
			i++
		default:
			context()
			out = append(out, "  + "+b[k])
			k++
		}
	}
	return out
}

// common returns how many lines a[i:] and b[k:] have in common, in order, for all i and k.
func common(a, b []string) [][]int {
	n := make([][]int, len(a)+1)
	for i := range n {
		n[i] = make([]int, len(b)+1)
	}
	for i, x := range slices.Backward(a) {
		for k, y := range slices.Backward(b) {
			if x == y {
				n[i][k] = n[i+1][k+1] + 1
			} else {
				n[i][k] = max(n[i+1][k], n[i][k+1])
			}
		}
	}
	return n
}
