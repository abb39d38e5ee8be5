// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

type attrs = map[string]any

const (
	server   = ptrace.SpanKindServer
	client   = ptrace.SpanKindClient
	producer = ptrace.SpanKindProducer
	consumer = ptrace.SpanKindConsumer
	internal = ptrace.SpanKindInternal
)

// shape is a span as an instrumentation sends it.
type shape struct {
	kind      ptrace.SpanKind
	name      string
	attrs     attrs
	status    ptrace.StatusCode
	message   string // of the status
	exception [2]string
}

// put appends the span to a fresh Traces of one service.
func (s shape) traces(t testing.TB) (ptrace.Traces, ptrace.Span) {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "caller")
	span := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	span.SetTraceID(pcommon.TraceID{1})
	span.SetSpanID(pcommon.SpanID{7: 2})
	span.SetParentSpanID(pcommon.SpanID{7: 1})
	span.SetStartTimestamp(1_000)
	span.SetEndTimestamp(3_000)
	span.SetKind(s.kind)
	span.SetName(s.name)
	require.NoError(t, span.Attributes().FromRaw(s.attrs))
	span.Status().SetCode(s.status)
	span.Status().SetMessage(s.message)
	if s.exception != [2]string{} {
		event := span.Events().AppendEmpty()
		event.SetName("exception")
		event.Attributes().PutStr("exception.stacktrace", "at timeout.connection.refused(Main.java:1)")
		if s.exception[0] != "" {
			event.Attributes().PutStr("exception.type", s.exception[0])
		}
		event.Attributes().PutStr("exception.message", s.exception[1])
	}
	return td, span
}

// read returns the one Call of td, and the batch it is in.
func readOne(t testing.TB, td ptrace.Traces) (Call, *Batch) {
	t.Helper()
	var b Batch
	b.Read(td)
	require.Len(t, b.Calls, 1, "skipped: %v", b.Skipped)
	return b.Calls[0], &b
}

func (s shape) read(t testing.TB) Call {
	t.Helper()
	td, _ := s.traces(t)
	c, b := readOne(t, td)
	require.Zero(t, b.Skipped[SkipWrongType], "every type here is meant")
	return c
}

// want is what is made of a shape.
type want struct {
	protocol  Protocol
	kind      NodeKind
	peer      string
	operation string
	outcome   Outcome
	reason    Reason
	errorType string
	group     string
	attempt   uint8
	instance  string
}

func (w want) check(t *testing.T, c Call) {
	t.Helper()
	got := want{c.Protocol, c.Peer.Kind, c.Peer.String(), c.Operation.String(), c.Outcome, c.Reason, c.ErrorType, c.Group, c.Attempt, c.Peer.Instance}
	require.Equal(t, w, got)
}

type shapeCase struct {
	name string
	shape
	want
}

// runShapes also shuffles each span's attributes: their order must not matter.
func runShapes(t *testing.T, cases []shapeCase) {
	t.Helper()
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			tc.check(t, tc.read(t))
			keys := make([]string, 0, len(tc.attrs))
			for k := range tc.attrs {
				keys = append(keys, k)
			}
			slices.Sort(keys)
			for seed := range uint64(8) {
				rand.New(rand.NewPCG(seed, 1)).Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
				td, span := tc.traces(t)
				span.Attributes().Clear()
				for _, k := range keys {
					require.NoError(t, span.Attributes().PutEmpty(k).FromRaw(tc.attrs[k]))
				}
				c, _ := readOne(t, td)
				tc.check(t, c)
			}
		})
	}
}

// long is a name beyond MaxName.
var long = strings.Repeat("x", MaxName+100)
