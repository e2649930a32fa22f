package journal

import (
	"errors"
	"fmt"
)

// repair copies the good records of the active file to a new one, which takes its place. After an error of fsync the
// kernel takes pages for written that are not, so the old file cannot be made durable any more; and what is in it of
// the requests that were refused must never be read.
//
// Every attempt writes a new file and removes all older ones, so it does not matter how far an earlier one got: of
// several files that replace the same one, Open takes the newest.
func (j *Journal) repair() error {
	old := j.active
	b := j.broken
	if err := j.spare.drop(j); err != nil { // Segments are ordered by their numbers.
		return fmt.Errorf("copy segment: %w", err)
	}
	head := j.header(old.seg.Number)
	a, err := j.createFile(&head)
	if err != nil {
		return fmt.Errorf("copy segment: %w", err)
	}
	name := j.segmentName(head.number)
	if err := j.copyRecords(a, old); err != nil {
		return errors.Join(fmt.Errorf("copy segment: %w", err), a.f.Close(), j.remove(name+tmpSuffix))
	}
	if err := a.publish(j, name); err != nil {
		b.left = append(b.left, head.number)
		return errors.Join(fmt.Errorf("copy segment: %w", err), a.f.Close())
	}
	for _, n := range append(b.left, old.seg.Number) {
		err = errors.Join(err, j.remove(j.segmentName(n)), j.remove(j.segmentName(n)+tmpSuffix))
	}
	if err == nil {
		err = j.fs.SyncDir(j.dir)
	}
	if err != nil {
		b.left = append(b.left, head.number)
		return errors.Join(fmt.Errorf("copy segment: remove the old one: %w", err), a.f.Close())
	}
	_ = old.f.Close() // Its file is gone.
	a.seg.records, a.seg.created = old.seg.records, old.seg.created
	j.active = a
	j.mu.Lock()
	defer j.mu.Unlock()
	j.count(a.seg)
	return nil
}

// copyRecords copies what is durable of a file.
func (j *Journal) copyRecords(to, from *active) error {
	src := &source{f: from.f, size: from.seg.end}
	var buf []byte
	flush := func() error {
		_, err := to.f.WriteAt(buf, to.seg.end)
		to.seg.end += int64(len(buf))
		buf = buf[:0]
		return err
	}
	err := scan(src, from.seed, from.seg.start, from.seg.end, true, func(it *item) error {
		if !it.ok {
			return fmt.Errorf("read it back: %s at offset %d", it.reason(), it.off)
		}
		if it.head.kind != kindRecord {
			return nil
		}
		at := len(buf)
		buf = append(buf, make([]byte, recordHead)...)
		it.head.put(buf[at:])
		buf = append(buf, it.data...)
		buf = le.AppendUint32(buf, crcOf(it.data))
		bind(buf[at:], to.seed, to.seg.end+int64(at), it.head.index)
		to.seg.count++
		if len(buf) >= sourceChunk {
			return flush()
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	if err == nil && to.seg.count != from.seg.count {
		err = fmt.Errorf("read it back: %d records of %d", to.seg.count, from.seg.count)
	}
	to.seg.size = to.seg.end
	to.before, to.durable = j.before(to.seg.Number), to.seg.end
	if err == nil && to.seg.count > 0 {
		to.commitMark(j.now())
	}
	return err
}
