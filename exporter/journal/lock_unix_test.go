//go:build unix && !solaris && !aix

package journal

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A process that was forked and does not run its own program yet has the files of this one, and so would its lock.
func TestAClosedLockIsFreeWhoeverHasTheFile(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), lockName)
	first, err := OS{}.Lock(name)
	require.NoError(t, err)
	fd, err := syscall.Dup(int(first.(interface{ Fd() uintptr }).Fd()))
	require.NoError(t, err)
	defer func() { require.NoError(t, syscall.Close(fd)) }()
	_, err = OS{}.Lock(name)
	require.ErrorIs(t, err, ErrLocked)
	require.NoError(t, first.Close())
	second, err := OS{}.Lock(name)
	require.NoError(t, err)
	require.NoError(t, second.Close())
}
