// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// counts is an outcome in the words of the conformance list, which has no word for throttled: it
// counts as a failure.
func counts(o Outcome) string {
	switch {
	case o.Bad():
		return "fail"
	case o == Ignored:
		return "ignored"
	}
	return "ok"
}

func TestConformance(t *testing.T) {
	data, err := os.ReadFile("testdata/conformance.json")
	require.NoError(t, err)
	var list struct {
		HTTP struct {
			Codes  []int
			Expect []string
		}
		GRPC struct {
			Codes   []string
			Numbers []int
			Expect  []string
		}
		SQLState struct {
			Codes  []string
			Expect []string
		}
		Threshold struct {
			Given  []string
			Expect []float64
		}
	}
	require.NoError(t, json.Unmarshal(data, &list))

	t.Run("H01", func(t *testing.T) {
		c := shape{kind: client, status: ptrace.StatusCodeError, attrs: attrs{"http.response.status_code": 404, "error.type": "404"}}.read(t)
		require.Equal(t, Ignored, c.Outcome)
	})
	t.Run("H02", func(t *testing.T) {
		require.Len(t, list.HTTP.Codes, 14)
		for i, status := range list.HTTP.Codes {
			for _, name := range []string{"http.response.status_code", "http.status_code"} {
				c := shape{kind: client, status: ptrace.StatusCodeError, attrs: attrs{name: status}}.read(t)
				require.Equal(t, list.HTTP.Expect[i], counts(c.Outcome), "%s %d", name, status)
				require.Equal(t, status == 429, c.Outcome == Throttled, "its own class: %d", status)
			}
		}
	})
	t.Run("H03", func(t *testing.T) {
		require.Len(t, list.GRPC.Codes, 15)
		for i, status := range list.GRPC.Codes {
			// An OK comes with a span that is not an error.
			span := ptrace.StatusCodeError
			if status == "OK" {
				span = ptrace.StatusCodeUnset
			}
			for _, a := range []attrs{
				{"rpc.status_code": status},
				{"rpc.response.status_code": status},
				{"rpc.grpc.status_code": list.GRPC.Numbers[i]},
				{"rpc.status_code": status, "rpc.response.status_code": "UNAVAILABLE", "rpc.grpc.status_code": 14},
				{"rpc.response.status_code": status, "rpc.grpc.status_code": 14},
			} {
				a["rpc.system.name"] = "grpc"
				c := shape{kind: client, status: span, attrs: a}.read(t)
				require.Equal(t, list.GRPC.Expect[i], counts(c.Outcome), "%v", a)
			}
		}
	})
	t.Run("H04", func(t *testing.T) {
		require.Len(t, list.SQLState.Codes, 11)
		for i, state := range list.SQLState.Codes {
			c := shape{kind: client, status: ptrace.StatusCodeError, attrs: attrs{"db.system.name": "postgresql", "db.response.status_code": state}}.read(t)
			require.Equal(t, list.SQLState.Expect[i], counts(c.Outcome), state)
			require.Equal(t, state, c.ErrorType)
		}
	})
	t.Run("H05", func(t *testing.T) {
		require.Equal(t, OK, shape{kind: client}.read(t).Outcome)
	})
	t.Run("H06", func(t *testing.T) {
		c := shape{kind: client, status: ptrace.StatusCodeError, attrs: attrs{"error.type": "circuit_open"}}.read(t)
		require.Equal(t, Ignored, c.Outcome)
		require.Equal(t, ReasonRejected, c.Reason)
	})
	t.Run("H09", func(t *testing.T) {
		require.Len(t, list.Threshold.Given, 4)
		for i, th := range list.Threshold.Given {
			state := "vendor=x,ot=rv:abcdef00000000;th:" + th
			if th == "" {
				state = ""
			}
			td, span := shape{kind: client}.traces(t)
			span.TraceState().FromRaw(state)
			c, _ := readOne(t, td)
			require.InDelta(t, list.Threshold.Expect[i], c.Weight, 0.001, th)
		}
	})
	t.Run("H15", func(t *testing.T) {
		// Counting once is the engines' work; the facts let them: the server's parent is the client,
		// and only the client names the other side.
		td, _ := shape{kind: client, attrs: attrs{"server.address": "b"}}.traces(t)
		other := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().AppendEmpty()
		span := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
		span.CopyTo(other)
		other.SetKind(server)
		other.SetSpanID(pcommon.SpanID{7: 9})
		other.SetParentSpanID(span.SpanID())
		var b Batch
		b.Read(td)
		require.Len(t, b.Calls, 2)
		require.Equal(t, b.Calls[0].SpanID, b.Calls[1].ParentID)
		require.Equal(t, NodeExternal, b.Calls[0].Peer.Kind)
		require.Equal(t, Peer{}, b.Calls[1].Peer)
	})
	t.Run("H16", func(t *testing.T) {
		td, span := shape{kind: server, attrs: attrs{"server.address": "me", "client.address": "you", "peer.service": "x"}}.traces(t)
		span.SetParentSpanID(pcommon.SpanID{})
		c, _ := readOne(t, td)
		require.False(t, c.HasParent)
		require.Equal(t, Peer{}, c.Peer, "nobody says who called")
	})
}
