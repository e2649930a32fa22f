package journal

import (
	"errors"
	"sync"
	"time"
)

// spare makes the next segment's file ahead, so that no request waits for it, and finishes closed ones.
type spare struct {
	mu     sync.Mutex
	next   *active
	finish []*active // Closed, their last mark is not durable.
	wanted chan struct{}
}

// run is the goroutine that does it.
func (p *spare) run(j *Journal) {
	defer j.done.Done()
	for {
		select {
		case <-p.wanted:
			p.prepare(j)
		case <-j.stop:
			return
		}
	}
}

func (p *spare) prepare(j *Journal) {
	p.mu.Lock()
	finish := p.finish
	p.finish = nil
	if p.next == nil {
		if a, err := j.newFile(0); err == nil { // Else the one who needs it tries again and tells.
			p.next = a
		}
	}
	p.mu.Unlock()
	for _, a := range finish {
		_ = a.finish() // The records are durable; only the mark may be missing.
	}
	j.keepReserve()
}

// take returns a file to write to.
func (p *spare) take(j *Journal) (*active, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer signal(p.wanted)
	if a := p.next; a != nil {
		p.next = nil
		return a, nil
	}
	return j.newFile(0)
}

// drop removes the file that was made ahead, because its number is too low now.
func (p *spare) drop(j *Journal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.next
	if a == nil {
		return nil
	}
	if err := j.remove(j.segmentName(a.seg.Number)); err != nil {
		return err
	}
	p.next = nil
	return a.f.Close()
}

func (p *spare) close(j *Journal) error {
	err := p.drop(j)
	for _, a := range p.finish {
		err = errors.Join(err, a.finish())
	}
	p.finish = nil
	return err
}

func (j *Journal) header(replaces uint64) fileHeader {
	return fileHeader{
		kind: kindSegment, run: j.run, number: j.number.Add(1), created: j.now().UnixNano(),
		replaces: replaces, layout: j.s.Layout,
	}
}

// newFile makes a segment's file, durably and in one step.
func (j *Journal) newFile(replaces uint64) (*active, error) {
	head := j.header(replaces)
	a, err := j.createFile(&head)
	if err != nil {
		return nil, err
	}
	name := j.segmentName(head.number)
	if err := a.publish(j, name); err != nil {
		return nil, errors.Join(err, a.f.Close(), j.remove(name), j.remove(name+tmpSuffix))
	}
	return a, nil
}

// createFile makes a segment's file under a name that Open removes.
func (j *Journal) createFile(head *fileHeader) (*active, error) {
	name := j.segmentName(head.number) + tmpSuffix
	f, err := j.fs.Create(name)
	if err != nil {
		return nil, err
	}
	b := head.encode()
	if _, err := f.WriteAt(b, 0); err != nil {
		return nil, errors.Join(err, f.Close(), j.remove(name))
	}
	size := int64(len(b))
	return &active{f: f, seed: head.seed(), seg: &Segment{
		Number: head.number, Run: head.run, j: j, layout: head.layout, created: time.Unix(0, head.created),
		start: size, end: size, size: size,
	}}, nil
}

// publish makes the file durable and gives it its name.
func (a *active) publish(j *Journal, name string) error {
	if err := a.f.Sync(); err != nil {
		return err
	}
	if err := j.fs.Rename(name+tmpSuffix, name); err != nil {
		return err
	}
	return j.fs.SyncDir(j.dir)
}
