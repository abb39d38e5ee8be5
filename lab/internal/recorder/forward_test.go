// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package recorder

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// Everything that arrives is sent on, also before Record, to every endpoint; one where nobody listens costs only a line
// of the report.
func TestForward(t *testing.T) {
	receiver, err := Start(t.TempDir()) // a recorder is a receiver
	require.NoError(t, err)
	t.Cleanup(receiver.Stop)
	receiver.Record()
	absent, err := Start(t.TempDir())
	require.NoError(t, err)
	absent.Stop()

	r, err := Start(t.TempDir(), receiver.Endpoint(), absent.Endpoint())
	require.NoError(t, err)
	send := func(name string) {
		_, err := (&traceServer{r: r}).Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(oneTrace(name)))
		require.NoError(t, err)
		_, err = (&logServer{r: r}).Export(t.Context(), plogotlp.NewExportRequestFromLogs(oneLog(name)))
		require.NoError(t, err)
	}
	send("warm-up")
	r.Record()
	send("recorded")
	kept := filepath.Join(t.TempDir(), "kept")
	require.NoError(t, r.Finish(kept))
	r.Stop() // twice
	require.Len(t, r.Forwarded(), 2)
	assert.Equal(t, fmt.Sprintf("forwarded 4 export requests to %s, 0 failed, 0 did not fit the queue", receiver.Endpoint()), r.Forwarded()[0])
	assert.Contains(t, r.Forwarded()[1], fmt.Sprintf("forwarded 0 export requests to %s, 4 failed, 0 did not fit the queue; the first failure: ", absent.Endpoint()))

	for dir, want := range map[string][]string{kept: {"recorded"}, filepath.Join(t.TempDir(), "sent"): {"warm-up", "recorded"}} {
		if dir != kept {
			require.NoError(t, receiver.Finish(dir))
		}
		var traces []ptrace.Traces
		require.NoError(t, ReadTraces(dir, func(td ptrace.Traces) error { traces = append(traces, td); return nil }))
		var logs []plog.Logs
		require.NoError(t, ReadLogs(dir, func(ld plog.Logs) error { logs = append(logs, ld); return nil }))
		require.Len(t, traces, len(want))
		require.Len(t, logs, len(want))
		for i, name := range want {
			assert.Equal(t, oneTrace(name), traces[i])
			assert.Equal(t, oneLog(name), logs[i])
		}
	}
}

// A receiver that hangs fills the queue and nothing else.
func TestForwardQueueIsBounded(t *testing.T) {
	f, err := newForward("127.0.0.1:1")
	require.NoError(t, err)
	taken, hang := make(chan struct{}), make(chan struct{})
	f.put(func(context.Context) error { close(taken); <-hang; return nil })
	<-taken
	for range queueLimit + 3 {
		f.put(func(context.Context) error { return nil })
	}
	close(hang)
	f.stop()
	assert.Equal(t, fmt.Sprintf("forwarded %d export requests to 127.0.0.1:1, 0 failed, 3 did not fit the queue", queueLimit+1), f.report())
}

func TestForwardNeedsHostAndPort(t *testing.T) {
	_, err := Start(t.TempDir(), "localhost")
	require.ErrorContains(t, err, `forward to "localhost"`)
}
