// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// TestRecordings reads what real instrumentations sent in the recorded incidents. With -v it prints
// each distinct shape of span once, with the Call made of it.
func TestRecordings(t *testing.T) {
	paths, err := filepath.Glob("../../testdata/incidents/*/traces.jsonl.zst")
	require.NoError(t, err)
	require.NotEmpty(t, paths, "no recordings under testdata/incidents")
	shapes := map[string]string{}
	for _, path := range paths {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			var batch Batch
			forEachTraces(t, path, func(td ptrace.Traces) {
				batch.Read(td)
				require.Zero(t, batch.Skipped, "a real recording loses nothing")
				require.Len(t, batch.Calls, td.SpanCount())
				for i := range batch.Calls {
					c := &batch.Calls[i]
					span := td.ResourceSpans().At(int(c.ResourceSpans)).ScopeSpans().At(int(c.ScopeSpans)).Spans().At(int(c.Span))
					if want := c.Role.Outgoing() || c.Role == RoleConsumer; want != (c.Peer.Kind != NodeUnknown) || c.Operation.String() == "" {
						t.Fatalf("%s %s %v: peer %s, operation %q", span.Kind(), span.Name(), span.Attributes().AsRaw(), c.Peer.Kind, c.Operation.String())
					}
					if !testing.Verbose() {
						continue
					}
					key := shapeOf(td, c)
					if _, ok := shapes[key]; !ok {
						shapes[key] = describe(c)
					}
				}
			})
		})
	}
	lines := make([]string, 0, len(shapes))
	for k, v := range shapes {
		lines = append(lines, k+"\n    -> "+v)
	}
	slices.Sort(lines)
	t.Log("\n" + strings.Join(lines, "\n"))
}

// shapeOf is the scope, kind, status and attribute names of a span.
func shapeOf(td ptrace.Traces, c *Call) string {
	ss := td.ResourceSpans().At(int(c.ResourceSpans)).ScopeSpans().At(int(c.ScopeSpans))
	span := ss.Spans().At(int(c.Span))
	var keys []string
	for k, v := range span.Attributes().All() {
		if strings.HasSuffix(k, "status_code") || k == "error.type" {
			k += "=" + v.AsString()
		}
		keys = append(keys, k)
	}
	slices.Sort(keys)
	if span.Links().Len() > 0 {
		keys = append(keys, "links")
	}
	for _, e := range span.Events().All() {
		if e.Name() == "exception" {
			v, _ := e.Attributes().Get("exception.type")
			keys = append(keys, "exception:"+v.AsString())
		}
	}
	scope := ss.Scope().Name()
	return fmt.Sprintf("%s %s %s %s", scope[strings.LastIndexByte(scope, '/')+1:], span.Kind(), span.Status().Code(), strings.Join(keys, " "))
}

func describe(c *Call) string {
	return fmt.Sprintf("%s %q (instance %q:%d) | %q | outcome %d reason %d %q | weight %g links %d group %q remote %v",
		c.Peer.Kind, c.Peer.String(), c.Peer.Instance, c.Peer.InstancePort, c.Operation.String(), c.Outcome, c.Reason, c.ErrorType,
		c.Weight, len(c.Links), c.Group, c.Remote)
}

// forEachTraces reads a file of OTLP/JSON lines.
func forEachTraces(t *testing.T, path string, f func(ptrace.Traces)) {
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	z, err := zstd.NewReader(file)
	require.NoError(t, err)
	defer z.Close()
	lines := bufio.NewReader(z)
	var decode ptrace.JSONUnmarshaler
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 1 {
			td, err := decode.UnmarshalTraces(line)
			require.NoError(t, err)
			f(td)
		}
		if err == io.EOF {
			return
		}
		require.NoError(t, err)
	}
}
