package journal

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Range is a range of records of a segment by their index: From is in it, To is not.
type Range struct {
	From int `json:"from"`
	To   int `json:"to"`
}

// Progress is what is known of a segment that is not stored completely.
type Progress struct {
	Done  []string           `json:"done,omitempty"`  // Tables that need nothing more.
	Split map[string][]Range `json:"split,omitempty"` // Tables whose block was split, with the parts.
}

// writeProgress writes the progress twice into one file, so that damage to one of them loses nothing.
func (j *Journal) writeProgress(s *Segment, p Progress) error {
	if j.isClosed() {
		return errClosed
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	head := fileHeader{kind: kindProgress, run: s.Run, number: s.Number, created: j.now().UnixNano()}
	b := head.encode()
	for i := range uint32(2) {
		at := len(b)
		b = appendRecord(b, recordHeader{}, text)
		bind(b[at:], head.seed(), int64(at), i)
	}
	b = appendMark(b, kindClose, head.seed(), int64(len(b)), head.created, 1, previous{})
	return j.withReserve(func() error { return replaceFile(j.fs, j.dir, j.progressName(s.Number), b) })
}

// replaceFile puts a file in place in one step, durably.
func replaceFile(fs FS, dir, name string, content []byte) error {
	if err := writeFile(fs, name+tmpSuffix, content); err != nil {
		return err
	}
	if err := fs.Rename(name+tmpSuffix, name); err != nil {
		return errors.Join(err, fs.Remove(name+tmpSuffix))
	}
	return fs.SyncDir(dir)
}

// writeFile writes a file and makes its content durable, not its name. After an error the file is gone.
func writeFile(fs FS, name string, content []byte) error {
	f, err := fs.Create(name)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(content, 0); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, fs.Remove(name))
	}
	return nil
}

// readProgress reads a progress file whose header is readable.
func readProgress(src *source, name string, head *fileHeader, start int64) (p Progress, damages []Damage, err error) {
	found, closed := false, false
	err = scan(src, head.seed(), start, src.size, true, func(it *item) error {
		switch {
		case !it.ok:
			damages = append(damages, Damage{name, it.off, it.end - it.off, it.reason()})
		case it.head.kind == kindClose:
			closed = true
		case it.record() && !found:
			if err := json.Unmarshal(it.data, &p); err != nil {
				damages = append(damages, Damage{name, it.off, it.end - it.off, fmt.Sprintf("the progress is not readable: %v", err)})
				return nil
			}
			found = true
		}
		return nil
	})
	if len(damages) == 0 && (!found || !closed) {
		damages = append(damages, Damage{name, start, src.size - start, "the file is too short"})
	}
	return p, damages, err
}
