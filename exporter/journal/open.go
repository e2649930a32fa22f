package journal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"github.com/agenttrail/agenttrail/internal/recycle"
)

// Recovery is what [Open] found.
type Recovery struct {
	Segments []*Segment // To be delivered, oldest first.
	Records  int        // That can be delivered.
	Bytes    int64      // Of the segments' files.
	Torn     int        // Files that end in what a crash left of requests that were not acknowledged.
	Damages  []Damage
}

// Open locks the folder and reads what is in it. ctx bounds the reading.
//
// Errors are [ErrLocked], [ErrNewer], or what the file system says. Damage is no error, see [Recovery].
func Open(ctx context.Context, s Settings) (*Journal, error) {
	s = s.withDefaults()
	if s.Dir == "" {
		return nil, errors.New("open journal: no folder is given")
	}
	if len(s.Layout) > maxLayout {
		return nil, errors.New("open journal: the layout is too long")
	}
	j := &Journal{
		s: s, fs: s.FS, dir: s.Dir,
		inflight: map[Hash]*request{}, segments: map[uint64]*Segment{}, window: newWindow(s.Window, s.WindowRequests),
		changed: make(chan struct{}, 1), wake: make(chan struct{}, 1), stop: make(chan struct{}),
		spare: spare{wanted: make(chan struct{}, 1)}, read: recycle.Large{Limit: keepRead},
	}
	if _, err := rand.Read(j.run[:]); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if err := j.fs.MkdirAll(s.Dir); err != nil {
		return nil, fault("open journal", err)
	}
	lock, err := j.fs.Lock(filepath.Join(s.Dir, lockName))
	if errors.Is(err, ErrLocked) {
		return nil, fmt.Errorf("open journal %s: %w by another process: stop that one, or give this one a folder of its own",
			s.Dir, ErrLocked)
	}
	if err != nil {
		return nil, fault("open journal", err)
	}
	j.lock = lock
	if err := j.recover(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open journal %s: %w", s.Dir, err), lock.Close())
	}
	j.done.Add(2)
	go j.loop()
	go j.spare.run(j)
	signal(j.spare.wanted)
	return j, nil
}

// Recovery returns what Open found.
func (j *Journal) Recovery() Recovery { return j.recovery }

// found is a file in the folder.
type found struct {
	name     string // With the folder.
	number   uint64 // From the name.
	kind     fileKind
	head     fileHeader
	start    int64
	size     int64 // As found.
	damages  []Damage
	readable bool // The header is.
}

func (j *Journal) recover(ctx context.Context) error {
	names, err := j.fs.ReadDir(j.dir)
	if err != nil {
		return err
	}
	files, err := j.headers(ctx, names) // Before anything is changed: one may be of a newer version.
	if err != nil {
		return err
	}
	var segments, windows, progresses []*found
	for _, f := range files {
		switch f.kind {
		case kindSegment:
			segments = append(segments, f)
			j.number.Store(max(j.number.Load(), f.number, f.head.number))
		case kindWindow:
			windows = append(windows, f)
			j.log.number = max(j.log.number, f.number)
		case kindProgress:
			progresses = append(progresses, f)
			j.number.Store(max(j.number.Load(), f.number))
		}
	}
	for _, name := range names {
		if strings.HasSuffix(name, tmpSuffix) {
			j.clean(filepath.Join(j.dir, name))
		}
	}
	if err := j.recoverWindows(windows); err != nil {
		return err
	}
	if segments, err = j.dropReplaced(segments); err != nil {
		return err
	}
	lengths := map[uint64]length{}
	for _, f := range segments {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := j.recoverSegment(f, lengths); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	for _, f := range segments { // A later one knows how long one must be.
		if least := lengths[f.number]; f.readable && least.run == f.head.run && f.size < least.length {
			f.damages = []Damage{{f.name, f.size, least.length - f.size, "the file is shorter than it was"}}
			j.report(f)
		}
	}
	if err := j.recoverProgress(progresses); err != nil {
		return err
	}
	slices.SortFunc(j.recovery.Segments, func(a, b *Segment) int { return int(int64(a.Number) - int64(b.Number)) }) //nolint:gosec // Small.
	return j.fs.SyncDir(j.dir)
}

// headers reads the headers of all files, in the order of their names.
func (j *Journal) headers(ctx context.Context, names []string) (files []*found, err error) {
	for _, name := range names {
		f := &found{name: filepath.Join(j.dir, name)}
		var digits string
		switch {
		case strings.HasSuffix(name, segmentSuffix):
			f.kind, digits = kindSegment, strings.TrimSuffix(name, segmentSuffix)
		case strings.HasSuffix(name, progressSuffix):
			f.kind, digits = kindProgress, strings.TrimSuffix(name, progressSuffix)
		case isWindow(name):
			f.kind, digits = kindWindow, strings.TrimSuffix(strings.TrimPrefix(name, windowPrefix), windowSuffix)
		default:
			continue
		}
		if f.number, err = strconv.ParseUint(digits, 16, 64); err != nil || len(digits) != 16 {
			continue // Not ours.
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := f.readHeader(j.fs); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		files = append(files, f)
	}
	return files, nil
}

func (f *found) readHeader(fs FS) error {
	src, err := openSource(fs, f.name)
	if err != nil {
		return err
	}
	f.head, f.start, f.damages, err = src.header(f.name)
	if err = errors.Join(err, src.Close()); err != nil && !errors.Is(err, errHeader) {
		return err
	}
	f.readable = err == nil
	if f.readable && (f.head.kind != f.kind || f.head.number != f.number) {
		f.readable = false
		f.damages = append(f.damages, Damage{f.name, 0, f.start, "the header is that of another file: this one was renamed or copied"})
	}
	return nil
}

// clean removes a file that is not needed. If that fails, Close tries again, and then the next Open.
func (j *Journal) clean(name string) {
	err := j.remove(name)
	if err == nil {
		return
	}
	j.s.Logger.Warn("a file that is not needed any more cannot be removed", zap.String("file", name), zap.Error(err))
	j.mu.Lock()
	defer j.mu.Unlock()
	j.unneeded = append(j.unneeded, name)
}

// dropReplaced removes segments of which there is a copy, see repair.
func (j *Journal) dropReplaced(files []*found) (keep []*found, err error) {
	type origin struct {
		run    [16]byte
		number uint64
	}
	newest := map[origin]uint64{} // Number of the copy.
	for _, f := range files {
		if f.readable && f.head.replaces != 0 {
			o := origin{f.head.run, f.head.replaces}
			newest[o] = max(newest[o], f.head.number)
		}
	}
	for _, f := range files {
		_, replaced := newest[origin{f.head.run, f.head.number}]
		older := f.head.replaces != 0 && newest[origin{f.head.run, f.head.replaces}] != f.head.number
		if !f.readable || !replaced && !older {
			keep = append(keep, f)
			continue
		}
		// Its records are in the copy. It must be gone before the copy is, so this is no case for clean.
		if err := j.remove(f.name); err != nil {
			return nil, fault("remove a segment that was copied", err)
		}
	}
	if len(keep) != len(files) {
		return keep, j.fs.SyncDir(j.dir)
	}
	return keep, nil
}

// length is how long a segment is at least.
type length struct {
	run    [16]byte
	length int64
}

func (j *Journal) recoverSegment(f *found, lengths map[uint64]length) error {
	if !f.readable {
		return j.setAside(f)
	}
	src, err := openSource(j.fs, f.name)
	if err != nil {
		return err
	}
	// What is read now may be in the page cache only.
	if err := src.f.Sync(); err != nil {
		return errors.Join(fault("sync", err), src.Close())
	}
	s := &Segment{
		Number: f.number, Run: f.head.run, j: j, layout: f.head.layout, recovered: true, start: f.start,
		created: unix(f.head.created),
	}
	f.size = src.size
	in, err := inspect(s, src, f.name)
	if err = errors.Join(err, src.Close()); err != nil {
		return err
	}
	if in.to > in.from {
		if err := j.withReserve(func() error { return j.harden(s, f.name, &in) }); err != nil {
			return fault("make durable", err)
		}
	}
	if in.torn {
		j.recovery.Torn++
		j.s.Logger.Info("a segment of the journal ends in requests that were not acknowledged", zap.String("file", f.name))
	}
	f.damages = append(f.damages, in.damages...)
	if in.before.back != 0 {
		lengths[f.number-uint64(in.before.back)] = length{f.head.run, in.before.length}
	}
	j.report(f)
	if in.good == 0 {
		if len(f.damages) > 0 {
			return j.setAside(f)
		}
		j.clean(f.name)
		return nil
	}
	now := j.now()
	for _, h := range in.hashes {
		j.window.add(h, now)
	}
	j.segments[s.Number] = s
	j.grow(s.size)
	j.recovery.Segments = append(j.recovery.Segments, s)
	j.recovery.Records += in.good
	j.recovery.Bytes += s.size
	return nil
}

// harden makes durable what is delivered of after the last mark. An fsync that failed may have left it in the page cache
// only, taken for written, and then another fsync does nothing; so it is written once more.
func (j *Journal) harden(s *Segment, name string, in *inspection) (err error) {
	f, err := j.fs.OpenWrite(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	src := &source{f: f, size: in.to}
	for at := in.from; at < in.to; {
		b, err := src.bytes(at, sourceChunk)
		if err != nil {
			return err
		}
		if _, err := f.WriteAt(b, at); err != nil {
			return err
		}
		at += int64(len(b))
	}
	if in.sealable {
		if err := f.Truncate(in.to); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil || !in.sealable {
		return err
	}
	a := &active{f: f, seg: s, seed: s.seed(), before: in.before}
	s.end, s.size = in.to, in.to
	clear(s.bad)
	a.closeMark(s.created)
	return f.Sync()
}

// report tells of damage, once.
func (j *Journal) report(f *found) {
	if len(f.damages) == 0 {
		return
	}
	j.recovery.Damages = append(j.recovery.Damages, f.damages...)
	j.damaged(f.name, f.damages)
}

// setAside moves a file of which nothing can be read out of the way.
func (j *Journal) setAside(f *found) error {
	if !f.readable {
		j.report(f)
	}
	if err := copyDamaged(j.fs, j.dir, f.name); err != nil {
		return nil //nolint:nilerr // It was logged, and the file stays where it is.
	}
	j.clean(f.name)
	return nil
}

func (j *Journal) recoverProgress(files []*found) error {
	if len(files) > 0 {
		// A segment whose removal is not durable may be back after a crash. Then its progress must be, too.
		if err := j.fs.SyncDir(j.dir); err != nil {
			return fault("make the removal of segments durable", err)
		}
	}
	for _, f := range files {
		s := j.segments[f.number]
		if s == nil || f.readable && s.Run != f.head.run {
			j.clean(f.name) // Its segment was removed.
			continue
		}
		if !f.readable {
			if err := j.setAside(f); err != nil {
				return err
			}
			continue
		}
		src, err := openSource(j.fs, f.name)
		if err != nil {
			return err
		}
		p, damages, err := readProgress(src, f.name, &f.head, f.start)
		if err = errors.Join(err, src.Close()); err != nil {
			return err
		}
		s.progress = p
		f.damages = append(f.damages, damages...)
		j.report(f)
	}
	return nil
}

func (j *Journal) recoverWindows(files []*found) error {
	var all []Hash
	for _, f := range files {
		if !f.readable {
			if err := j.setAside(f); err != nil {
				return err
			}
			continue
		}
		src, err := openSource(j.fs, f.name)
		if err != nil {
			return err
		}
		hashes, torn, damages, err := readWindow(src, f.name, &f.head, f.start)
		if err = errors.Join(err, src.Close()); err != nil {
			return err
		}
		if torn {
			j.recovery.Torn++
		}
		f.damages = append(f.damages, damages...)
		j.report(f)
		all = append(all, hashes...)
		j.log.old = append(j.log.old, windowFile{name: f.name, ended: j.now(), hashes: len(hashes)})
	}
	now := j.now()
	for _, h := range all {
		j.window.add(h, now)
	}
	if len(j.log.old) > maxWindowFiles {
		j.log.merge(j, all)
	}
	return nil
}
