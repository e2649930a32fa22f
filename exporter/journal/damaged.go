package journal

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// copyDamaged keeps a copy of a damaged file, once for each content.
func copyDamaged(fs FS, dir, name string) (err error) {
	src, err := openSource(fs, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	crc := uint32(0)
	for at := int64(0); at < src.size; {
		b, err := src.bytes(at, sourceChunk)
		if err != nil {
			return err
		}
		crc = crcUpdate(crc, b)
		at += int64(len(b))
	}
	to := filepath.Join(dir, damagedDir)
	base := fmt.Sprintf("%s-%08x", filepath.Base(name), crc)
	if err := fs.MkdirAll(to); err != nil {
		return err
	}
	if names, err := fs.ReadDir(to); err != nil || slices.Contains(names, base) {
		return err
	}
	target := filepath.Join(to, base)
	f, err := fs.Create(target + tmpSuffix)
	if err != nil {
		return err
	}
	for at := int64(0); at < src.size && err == nil; {
		var b []byte
		if b, err = src.bytes(at, sourceChunk); err == nil {
			_, err = f.WriteAt(b, at)
			at += int64(len(b))
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, fs.Remove(target+tmpSuffix))
	}
	if err := fs.Rename(target+tmpSuffix, target); err != nil {
		return err
	}
	return fs.SyncDir(to)
}

func unix(ns int64) time.Time { return time.Unix(0, ns) }
