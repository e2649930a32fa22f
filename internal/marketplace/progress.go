package marketplace

import (
	"fmt"
	"io"
	"time"
)

// progress shows what goes on: on a terminal one line that is drawn anew, elsewhere a line every few seconds.
type progress struct {
	out   io.Writer
	live  bool
	last  time.Time
	drawn bool
}

func newProgress(out io.Writer, live bool) *progress { return &progress{out: out, live: live} }

func (p *progress) print(format string, args ...any) {
	interval := 5 * time.Second
	if p.live {
		interval = 100 * time.Millisecond
	}
	if time.Since(p.last) < interval {
		return
	}
	p.last = time.Now()
	if p.live {
		fmt.Fprintf(p.out, "\r\x1b[2K"+format, args...)
		p.drawn = true
		return
	}
	fmt.Fprintf(p.out, format+"\n", args...)
}

// done ends the line that is being drawn.
func (p *progress) done() {
	if p.drawn {
		fmt.Fprintln(p.out)
		p.drawn = false
	}
}
