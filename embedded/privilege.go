package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
)

// privilegeMode says as whom Postgres runs. Postgres refuses to run as root.
type privilegeMode int

const (
	privilegeSame      privilegeMode = iota // as this process, which is not root
	privilegeNamespace                      // unprivileged within a user namespace, root outside of it
	privilegeAccount                        // as another account of the system
)

type privilege struct {
	mode     privilegeMode
	account  string
	uid, gid int
}

// owner is the user and group that the files of the child belong to.
func (p privilege) owner() (uid, gid int) {
	if p.mode == privilegeAccount {
		return p.uid, p.gid
	}
	return os.Geteuid(), os.Getegid()
}

// choosePrivilege decides how program is run. A root process prefers a user namespace: there the child can be an
// unprivileged account and yet use root's private folders. Where the system forbids that, often in containers, the
// child runs as another account, which needs to reach program and data. A named account forces the latter.
func choosePrivilege(program, account string) (privilege, error) {
	if os.Geteuid() != 0 {
		return privilege{mode: privilegeSame}, nil
	}
	u, err := unprivilegedAccount(account)
	if err != nil {
		return privilege{}, err
	}
	if account == "" && runtime.GOOS == "linux" {
		p := u
		p.mode = privilegeNamespace
		if err := tryProgram(program, p); err == nil {
			return p, nil
		}
	}
	u.mode = privilegeAccount
	if err := reachable(program, u); err != nil {
		return privilege{}, fmt.Errorf("run Postgres as account %s: %w; set AGENTTRAIL_ENGINES to a folder that every account can read, such as /opt/agenttrail/engines, and run \"agenttrail engines\" again, or start agenttrail as an ordinary user", u.account, err)
	}
	if err := tryProgram(program, u); err != nil {
		return privilege{}, fmt.Errorf("run Postgres as account %s: %w; start agenttrail as an ordinary user, or set AGENTTRAIL_POSTGRES_URL to a Postgres server", u.account, err)
	}
	return u, nil
}

func unprivilegedAccount(name string) (privilege, error) {
	names := []string{"postgres", "nobody"}
	if name != "" {
		names = []string{name}
	}
	for _, n := range names {
		u, err := user.Lookup(n)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err1 == nil && err2 == nil && uid != 0 {
			return privilege{account: n, uid: uid, gid: gid}, nil
		}
	}
	return privilege{}, fmt.Errorf("run Postgres, which refuses to run as root: no unprivileged account %v on this system; add one (useradd --system postgres), or start agenttrail as an ordinary user", names)
}

// tryProgram runs program with the privilege, only for its version.
func tryProgram(program string, priv privilege) error {
	cmd := exec.Command(program, "--version") //nolint:noctx // Ends at once.
	cmd.Dir = "/"
	cmd.SysProcAttr = sysProcAttr(priv, 0)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run %s: %w %s", program, err, out)
	}
	return nil
}

// reachable tells whether the account may pass through every folder above path.
func reachable(path string, priv privilege) error {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		fi, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("look at %s: %w", dir, err)
		}
		st, ok := fi.Sys().(*syscall.Stat_t)
		if !ok {
			return errors.New("BUG: no owner in file information")
		}
		need := fs.FileMode(0o001)
		switch {
		case int(st.Uid) == priv.uid:
			need = 0o100
		case int(st.Gid) == priv.gid:
			need = 0o010
		}
		if fi.Mode().Perm()&need == 0 {
			return fmt.Errorf("account %s may not enter %s", priv.account, dir)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// giveTo makes everything below dir belong to a user. The folder itself comes last, so that an interrupted run is
// seen and done again.
func giveTo(dir string, uid, gid int) error {
	fi, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("change owner: %w", err)
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && int(st.Uid) == uid {
		return nil
	}
	// The other owner could put a link to somewhere else in the way; a Root does not follow it.
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("change owner: %w", err)
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		return root.Lchown(path, uid, gid)
	})
	if err == nil {
		err = os.Lchown(dir, uid, gid)
	}
	if err != nil {
		return fmt.Errorf("change owner: %w", err)
	}
	return nil
}
