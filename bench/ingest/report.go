package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// result is what one turn of one system gave.
type result struct {
	collectorCPU float64 // us per span
	engineCPU    float64 // us per row sent
	acknowledged float64 // spans per second until the last acknowledgement
	endToEnd     float64 // spans per second until the last row was stored
	merged       float64 // spans per second until the last merge had ended
	allocated    float64 // bytes per span
	disk         float64 // bytes per span after merges
	memory       float64 // MiB at most
	again        int64   // requests that were sent again
}

func (r *result) String() string {
	return fmt.Sprintf("collector %.2f us/span, engine %.2f us/row, end to end %.0f spans/s, merged %.0f, disk %.0f B/span, peak %.0f MiB, allocated %.0f B/span, %d again",
		r.collectorCPU, r.engineCPU, r.endToEnd, r.merged, r.disk, r.memory, r.allocated, r.again)
}

// figures are the rows of the report. More is better for rates only.
var figures = []struct {
	name string
	of   func(*result) float64
	rate bool
}{
	{"collector CPU, us per span", func(r *result) float64 { return r.collectorCPU }, false},
	{"engine CPU, us per row", func(r *result) float64 { return r.engineCPU }, false},
	{"end to end, spans per s", func(r *result) float64 { return r.endToEnd }, true},
	{"end to end and merged, spans per s", func(r *result) float64 { return r.merged }, true},
	{"acknowledged, spans per s", func(r *result) float64 { return r.acknowledged }, true},
	{"on disk, bytes per span", func(r *result) float64 { return r.disk }, false},
	{"peak memory, MiB", func(r *result) float64 { return r.memory }, false},
	{"allocated, bytes per span", func(r *result) float64 { return r.allocated }, false},
}

// report prints medians and ranges, and how many times better than contrib each system is: the median of the ratios of
// the rounds, with their range.
func report(out io.Writer, systems []*system, results map[string][]*result) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprint(w, "\nmedian (range)")
	for _, s := range systems {
		fmt.Fprintf(w, "\t%s", s.name)
	}
	for _, s := range systems {
		if s.name != "contrib" && results["contrib"] != nil {
			fmt.Fprintf(w, "\t%s is better by", s.name)
		}
	}
	fmt.Fprintln(w)
	for _, f := range figures {
		fmt.Fprint(w, f.name)
		for _, s := range systems {
			fmt.Fprintf(w, "\t%s", spread(values(results[s.name], f.of), "%.4g"))
		}
		for _, s := range systems {
			rival := results["contrib"]
			if s.name == "contrib" || rival == nil {
				continue
			}
			var ratios []float64
			for i, r := range results[s.name] {
				ratio := f.of(rival[i]) / f.of(r)
				if f.rate {
					ratio = 1 / ratio
				}
				ratios = append(ratios, ratio)
			}
			fmt.Fprintf(w, "\t%s", spread(ratios, "%.2f"))
		}
		fmt.Fprintln(w)
	}
}

func values(results []*result, of func(*result) float64) []float64 {
	v := make([]float64, len(results))
	for i, r := range results {
		v[i] = of(r)
	}
	return v
}

func spread(v []float64, format string) string {
	if len(v) == 0 {
		return "-"
	}
	v = slices.Sorted(slices.Values(v))
	return fmt.Sprintf(format+" ("+format+"-"+format+")", v[len(v)/2], v[0], v[len(v)-1])
}
