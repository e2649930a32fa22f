package check_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// instruction is a line of a Dockerfile.
type instruction struct{ name, args string }

// dockerfile reads the instructions of the Dockerfile by stage. Ours has no continued lines and no here-documents.
func dockerfile(t *testing.T) (stages [][]instruction) {
	t.Helper()
	for line := range strings.Lines(read(t, "../docker/Dockerfile")) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		require.False(t, strings.HasSuffix(line, `\`) || strings.Contains(line, "<<"), "this parser reads single lines: %s", line)
		name, args, _ := strings.Cut(line, " ")
		require.Contains(t, []string{"FROM", "ARG", "WORKDIR", "COPY", "RUN", "USER", "ENV", "VOLUME", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}, name)
		if name == "FROM" {
			stages = append(stages, nil)
		}
		require.NotEmpty(t, stages, "FROM comes first")
		stages[len(stages)-1] = append(stages[len(stages)-1], instruction{name, args})
	}
	return stages
}

func (i instruction) String() string { return i.name + " " + i.args }

func args(stage []instruction, name string) (all []string) {
	for _, i := range stage {
		if i.name == name {
			all = append(all, i.args)
		}
	}
	return all
}

func TestDockerfile(t *testing.T) {
	t.Parallel()
	stages := dockerfile(t)
	require.Len(t, stages, 2)
	build, image := stages[0], stages[1]
	toolchain := regexp.MustCompile(`^golang:(\d+\.\d+)\.\d+-bookworm AS build$`).FindStringSubmatch(build[0].args)
	require.NotNil(t, toolchain, build[0])
	require.Contains(t, read(t, root+"/go.mod"), "\ngo "+toolchain[1]+".", "the toolchain of the module")
	require.Equal(t, "scratch", image[0].args)
	require.Equal(t, []string{"65532:65532"}, args(image, "USER"))
	require.Equal(t, []string{`["/bin/agenttrail"]`}, args(image, "ENTRYPOINT"))
	require.Len(t, args(image, "HEALTHCHECK"), 1)
	require.Empty(t, args(image, "RUN"), "there is no shell in it")
	for _, secret := range []string{"**/.env", "**/secrets", ".git"} {
		require.Contains(t, strings.Split(read(t, root+"/.dockerignore"), "\n"), secret)
	}
}
