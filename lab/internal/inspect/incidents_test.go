// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/firebreak-otel/firebreak/lab/internal/faults"
	"github.com/firebreak-otel/firebreak/lab/internal/recorder"
	"github.com/firebreak-otel/firebreak/lab/internal/truth"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

const (
	committed = "../../../testdata/incidents"
	largest   = 3 << 20
)

// private tells on the machine of a recording: its paths, and attributes of its host, process and system.
var private = regexp.MustCompile(`/(root|home|tmp|Users)/|"(host|process|os)\.`)

// Every committed recording is what its truth says, small, private, and of a
// shop that was well before the fault.
func TestCommittedIncidents(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(committed, "*", truth.File))
	require.NoError(t, err)
	require.NotEmpty(t, dirs)
	here, err := filepath.Abs(".")
	require.NoError(t, err)
	here = filepath.Dir(here)
	for _, path := range dirs {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			tr, err := truth.Read(dir)
			require.NoError(t, err)
			f, err := faults.Find(filepath.Base(dir))
			require.NoError(t, err)
			assert.Equal(t, f.Name, tr.Fault)
			assert.Equal(t, f.Description, tr.Description)
			assert.Equal(t, f.Verdict, tr.Verdict)
			assert.ElementsMatch(t, f.Symptoms, tr.Symptoms)
			assert.GreaterOrEqual(t, tr.Injected.Sub(tr.Recorded.From).Seconds(), 60.0)
			checkContent(t, dir, tr)
			checkPrivate(t, dir, here)
			checkSize(t, dir)
		})
	}
}

func checkContent(t *testing.T, dir string, tr truth.Truth) {
	var got truth.Counts
	well, ill := 0, 0
	require.NoError(t, recorder.ReadTraces(dir, func(td ptrace.Traces) error {
		got.Spans += td.SpanCount()
		for _, rs := range td.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, s := range ss.Spans().All() {
					if s.EndTimestamp().AsTime().Before(tr.Injected) {
						well++
						if s.Status().Code() == ptrace.StatusCodeError {
							ill++
						}
					}
				}
			}
		}
		return nil
	}))
	assert.LessOrEqual(t, ill*1000, well, "%d of %d spans failed before the fault", ill, well)
	require.NoError(t, recorder.ReadLogs(dir, func(ld plog.Logs) error {
		got.Logs += ld.LogRecordCount()
		return nil
	}))
	assert.Equal(t, tr.Counts.Spans, got.Spans)
	assert.Equal(t, tr.Counts.Logs, got.Logs)
	if tr.Verdict.Silent {
		assert.Zero(t, tr.Counts.Failed)
	}
}

// checkPrivate looks at the text itself: nothing that a reader of OTLP would skip is skipped.
func checkPrivate(t *testing.T, dir, here string) {
	for _, name := range []string{recorder.TracesFile, recorder.LogsFile} {
		require.NoError(t, recorder.ReadLines(filepath.Join(dir, name), func(line []byte) error {
			i := bytes.Index(line, []byte(here))
			if found := private.FindIndex(line); i < 0 && found != nil {
				i = found[0]
			}
			if i >= 0 {
				t.Errorf("%s tells on its machine: %s", name, line[i:min(i+80, len(line))])
			}
			return nil
		}))
	}
}

func checkSize(t *testing.T, dir string) {
	var size int64
	for _, name := range []string{recorder.TracesFile, recorder.LogsFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		size += info.Size()
	}
	assert.Less(t, size, int64(largest))
}
