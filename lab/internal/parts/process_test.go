// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package parts

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func start(t *testing.T, script string) *Process {
	t.Helper()
	runtime.LockOSThread()
	p, err := StartProcess(t.TempDir(), "part", exec.Command("sh", "-c", script))
	require.NoError(t, err)
	t.Cleanup(func() { p.Stop(syscall.SIGKILL, time.Second) })
	return p
}

// A part that ends at its start is reported at once, with what it said.
func TestAwaitReportsLastWords(t *testing.T) {
	p := start(t, "echo cannot bind >&2; exit 1")
	err := p.Await(time.Minute, func() error { return errors.New("not yet") })
	require.ErrorContains(t, err, "part ended at its start, its last words: cannot bind")
}

func TestAwaitGivesUp(t *testing.T) {
	p := start(t, "sleep 60")
	notYet := errors.New("not yet")
	require.ErrorIs(t, p.Await(time.Millisecond, func() error { return notYet }), notYet)
}

// Stop ends a paused part, one that ignores the request, and the part's own
// children; a second Stop does nothing.
func TestStopAlwaysEnds(t *testing.T) {
	for name, script := range map[string]string{
		"paused":   "echo ready; sleep 60",
		"stubborn": "trap '' TERM; echo ready; while :; do sleep 60; done",
		"parent":   "sleep 60 & echo ready; wait",
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, script)
			require.NoError(t, p.Await(10*time.Second, func() error {
				if p.tail() != "ready" {
					return errors.New("not yet")
				}
				return nil
			}))
			require.NoError(t, p.Pause())
			p.Stop(syscall.SIGTERM, 200*time.Millisecond)
			assert.True(t, p.exited())
			p.Stop(syscall.SIGTERM, time.Second)
			require.Eventually(t, func() bool { return p.Signal(0) != nil }, 5*time.Second, 10*time.Millisecond, "the group is empty")
		})
	}
	var never *Process
	never.Stop(syscall.SIGTERM, time.Second)
}

// A note left behind by a crash must not make "kafka stop" kill a stranger.
func TestRunningKafkaRefusesStrangers(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	path, err := kafkaPID()
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	_, err = RunningKafka()
	require.ErrorContains(t, err, "no broker is running")

	forget, err := RememberKafka(os.Getpid())
	require.NoError(t, err)
	_, err = RunningKafka()
	require.ErrorContains(t, err, "no broker is running", "this test is no broker")
	assert.NoFileExists(t, path)
	forget()
}
