// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/decision"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/edge"
)

// fuzzSettings have little room everywhere, and every rule on.
func fuzzSettings() Settings {
	s := settings()
	s.MaxSpans, s.MaxTraceSpans, s.MaxFailing = 1, 8, 8
	s.MaxEdges, s.MaxOperations, s.Idle, s.MaxOpenShare = 6, 2, 60*second, 0.5
	s.Circuit.Consecutive, s.Circuit.FailureCount, s.Circuit.FastCalls, s.Circuit.SlowCalls = 4, 9, 5, 5
	s.Rules = []edge.Rule{
		{Caller: "gateway", Callee: "a*", ByOperation: true, Circuit: s.Circuit},
		{Callee: "forced", State: circuit.ForcedOpen}, {Callee: "mute", State: circuit.Disabled},
	}
	return s
}

var fuzzPeers = []call.Peer{
	{}, {Kind: call.NodeService, Name: "orders"}, {Kind: call.NodeService, Name: "a"}, {Kind: call.NodeService, Name: "forced"},
	{Kind: call.NodeService, Name: "mute"}, {Kind: call.NodeDatabase, System: "postgresql", Name: "shop"},
	{Kind: call.NodeMessaging, System: "kafka", Name: "orders"}, {Kind: call.NodeExternal, Address: "10.0.0.1", Port: 80},
	{Kind: call.NodeExternal, Address: "10.0.0.2"}, {Kind: call.NodeService, Name: "payments", Instance: "10.0.0.3"},
}

// fuzzCalls makes calls of bytes, six each. Ids are few, so that spans meet, repeat and form circles; what a byte leaves out
// of a run of like calls is made up for by repeating.
func fuzzCalls(data []byte) (out []call.Call) {
	at, span := start, uint64(0)
	for ; len(data) >= 6 && len(out) < 4000; data = data[6:] {
		b := data[:6]
		span++
		c := call.Call{
			TraceID: id(uint64(b[0]>>4) + 1), SpanID: span, ParentID: uint64(b[0] & 15), Resource: int32(b[1] & 3),
			Role: call.Role(b[1]>>2) % 5, Reason: call.Reason(b[1]>>5) % (call.ReasonClient + 1), Outcome: call.Outcome(b[2]) % (call.Ignored + 1),
			Peer: fuzzPeers[int(b[2]>>2)%len(fuzzPeers)], Protocol: call.Protocol(b[3] & 7), Attempt: b[3] >> 6, Weight: 1,
			Operation: call.Operation{Verb: "GET", Target: string(rune('a' + b[3]>>3&3))},
		}
		if b[3]&32 != 0 {
			c.SpanID = c.ParentID + 1 // again
		}
		if b[5]&3 == 1 {
			c.Weight, c.Links = math.Inf(1), []call.Link{{TraceID: c.TraceID, SpanID: c.ParentID}}
		}
		at += int64(b[4]>>2) * 20 * ms
		c.End = at
		switch b[4] & 3 {
		case 1:
			c.End = at - int64(b[5])*second
		case 2:
			c.End = int64(uint64(math.MaxInt64)>>(b[5]&63)) - 100*second // room for a run
		}
		c.Start = c.End - int64(b[5])*10*ms
		if b[5] == 255 {
			c.Start = 1
		}
		for n := 0; n <= int(b[5]>>2) && len(out) < 4000; n++ {
			out = append(out, c)
			c.SpanID, c.Start, c.End = c.SpanID+1<<32, c.Start+10*ms, c.End+10*ms
		}
	}
	return out
}

// Whatever comes, nothing panics, no edge is lost count of, and what is told can be written down.
func FuzzLearn(f *testing.F) {
	f.Add([]byte{}, uint8(0))
	f.Add([]byte("\x10\x08\x08\x00\xfc\xfc\x10\x08\x09\x00\xfc\xfc\x10\x08\x08\x00\xfc\xfc\x21\x05\x16\x00\x04\x10"), uint8(7))
	f.Add([]byte("\x10\x04\x08\x00\xff\xff\x11\x0c\x1c\x20\x01\xff\x12\x0d\x1d\x20\x02\x01\x13\x09\x15\xc0\x08\xfc"), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, cut uint8) {
		e := New(fuzzSettings(), func(ev decision.Event) {
			require.NotEmpty(t, ev.Sentence())
			_, err := json.Marshal(ev)
			require.NoError(t, err, "%+v", ev)
		})
		calls := fuzzCalls(data)
		for len(calls) > 0 {
			n := min(int(cut)+1, len(calls))
			for _, m := range learn(e, calls[:n]) {
				require.Less(t, m.Call, n)
			}
			calls = calls[n:]
		}
		states, all := e.States(), int64(0)
		for _, n := range states {
			require.GreaterOrEqual(t, n, int64(0))
			all += n
		}
		require.EqualValues(t, e.table.Len(), all)
		require.LessOrEqual(t, e.table.Len(), 6)
		list, omitted := e.Advice(100)
		require.Zero(t, omitted)
		for i := range list {
			_, err := json.Marshal(&list[i])
			require.NoError(t, err)
			require.GreaterOrEqual(t, list[i].AdmitShare, 0.0)
			require.LessOrEqual(t, list[i].FailureRatio, 1.0)
		}
		e.Open()
		e.Counts()
	})
}
