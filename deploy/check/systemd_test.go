package check_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coreos/go-systemd/v22/unit"
	"github.com/stretchr/testify/require"
)

// TestUnits reads the units, looks for what keeps a service within its bounds, and has systemd itself judge them where it
// is.
func TestUnits(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../systemd/*.service")
	require.NoError(t, err)
	require.Len(t, files, 3)
	for _, file := range files {
		options, err := unit.Deserialize(strings.NewReader(read(t, file)))
		require.NoError(t, err, file)
		set := map[string][]string{}
		for _, o := range options {
			set[o.Name] = append(set[o.Name], o.Value)
		}
		for name, want := range map[string]string{
			"DynamicUser": "yes", "NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes",
			"CapabilityBoundingSet": "", "RestrictNamespaces": "yes", "MemoryDenyWriteExecute": "yes", "SystemCallArchitectures": "native", "UMask": "0077",
		} {
			require.Equal(t, []string{want}, set[name], "%s: %s", file, name)
		}
		// A variable with a file names a credential that is loaded.
		for _, e := range set["Environment"] {
			if name, ok := strings.CutPrefix(e, "AGENTTRAIL_"); ok && strings.Contains(name, "_FILE=") {
				_, credential, _ := strings.Cut(e, "=%d/")
				require.True(t, func() bool {
					for _, c := range set["LoadCredential"] {
						if strings.HasPrefix(c, credential+":") {
							return true
						}
					}
					return false
				}(), "%s: %s", file, e)
			}
		}
		for _, command := range set["ExecStart"] {
			args := strings.Fields(command)
			require.Equal(t, "/usr/bin/agenttrail", args[0], file)
			agenttrail(t, nil, append(args[1:], "--help")...)
		}
		if filepath.Base(file) == "agenttrail-collector.service" {
			require.Equal(t, []string{"agenttrail-collector"}, set["StateDirectory"])
			require.Contains(t, set["Environment"], "AGENTTRAIL_JOURNAL_DIR=/var/lib/agenttrail-collector/journal")
		}
	}
}

// TestVerify runs systemd-analyze on copies whose program exists. Without systemd on the machine, as on a Mac, there is
// nobody to ask; the test above is for both.
func TestVerify(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd-analyze is not here: units are only parsed")
		return
	}
	dir := t.TempDir()
	program, err := filepath.Abs(filepath.Join(root, "bin/agenttrail"))
	require.NoError(t, err)
	files, err := filepath.Glob("../systemd/*.service")
	require.NoError(t, err)
	args := []string{"verify", "--man=no", "--recursive-errors=no"}
	for _, file := range files {
		copied := filepath.Join(dir, filepath.Base(file))
		require.NoError(t, os.WriteFile(copied, []byte(strings.ReplaceAll(read(t, file), "/usr/bin/agenttrail", program)), 0o600))
		args = append(args, copied)
	}
	out, err := exec.CommandContext(t.Context(), analyze, args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	for line := range strings.Lines(string(out)) {
		require.NotContains(t, line, dir, "systemd has something to say of our units")
	}
}
