// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The cases of breakers, for ours and for those of other libraries: who agrees where. They have a module of their own,
// so that who uses ours need not have them; that ours agrees with most of them at least as often as any is its test's
// to say.
func TestConformancePeers(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT RUN with -short: builds another module")
	}
	run := func(env []string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), goTool(t), args...)
		cmd.Dir = filepath.Join("internal", "circuit", "peers")
		// Without the cgo that the race detector of this test may need: so it is built already.
		cmd.Env = append(append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0"), env...)
		out, err := cmd.CombinedOutput()
		return string(bytes.TrimSpace(out)), err
	}
	if out, err := run(nil, "list", "-deps", "-test", "."); err != nil {
		t.Skipf("NOT RUN, no module cache has the other libraries and they can't be had: %v\n%s", err, out)
	}
	var env []string
	if name := os.Getenv("FIREBREAK_CONFORMANCE"); name != "" {
		name, err := filepath.Abs(name)
		require.NoError(t, err)
		env = append(env, "FIREBREAK_CONFORMANCE="+name)
	}
	out, err := run(env, "test", "-count=1", "-v", "-run", "Conformance", ".")
	t.Log("\n" + out)
	require.NoError(t, err)
	require.Contains(t, out, "--- PASS: TestConformance")
	for _, system := range []string{"firebreak", "gobreaker", "failsafe"} {
		require.True(t, slices.ContainsFunc(strings.Split(out, "\n"), func(line string) bool {
			return strings.HasPrefix(strings.TrimSpace(line), system+" ")
		}), "no line of %s", system)
	}
}

// goTool is the go command that this test was built by, else that of the PATH.
func goTool(t *testing.T) string {
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Skipf("NOT RUN, there is no go command: %v", err)
	}
	return filepath.Join(string(bytes.TrimSpace(out)), "bin", "go")
}
