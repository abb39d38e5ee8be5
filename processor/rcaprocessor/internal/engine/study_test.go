// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/contrast"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

var updateExplain = flag.Bool("update-explain", false, "write the golden file of Explain anew")

const (
	studyFault = dawn + 8*minute // the quarantine leaves five minutes of normal
	studyEnd   = studyFault + minute
)

// studied is what a Study learned of eight healthy minutes and one with a fault. bare takes the kinds off all spans.
func studied(seed uint64, fault func(*order), bare bool) *Engine {
	s := newShop(seed)
	s.run(dawn, studyFault, 5)
	s.alter = fault
	s.run(studyFault, studyEnd, 5)
	return learned(s.sorted(), 512, bare)
}

func learned(spans []span, n int, bare bool) *Engine {
	set := testSettings()
	set.Lateness = minute
	x := New(set, func(incident.Incident) {})
	for chunk := range slices.Chunk(spans, n) {
		b := batchOf(chunk)
		for i := range b.Calls {
			c := &b.Calls[i]
			if bare {
				c.Role, c.Peer = call.RoleInternal, call.Peer{}
			}
			// Each server span of orders writes a line when it begins and one when it is done.
			if c.Role == call.RoleServer && b.Resources[c.Resource].Service == "orders" {
				x.LearnLog(&LogLine{Trace: c.TraceID, Span: c.SpanID, Template: contrast.TemplateOf(fmt.Sprintf("placing order %d", c.SpanID))})
				if c.Outcome != call.Fail {
					x.LearnLog(&LogLine{Trace: c.TraceID, Span: c.SpanID, Template: contrast.TemplateOf(fmt.Sprintf("order %d is placed", c.SpanID))})
				}
			}
		}
		x.Learn(b, nil)
	}
	return x
}

var studyFaults = []struct {
	name  string
	root  string
	bare  string // the root when spans have no kinds and name no peers; "" for the same
	fault func(*order)
}{
	{"slow database", "shop", "orders", slowDatabase}, // a leaf's time is its service's when nothing says otherwise
	{"slow orders", "shop/orders", "", func(o *order) { o.ordersOwn += 50 * ms }},
	{"slow gateway", "shop/gateway", "", func(o *order) { o.gatewayOwn += 50 * ms }},
	{"slow link", "shop/orders", "", func(o *order) { o.link += 50 * ms }},
	{"orders fails", "shop/orders", "", func(o *order) { o.ordersOutcome = call.Fail }},
	{"database fails", "shop", "orders", func(o *order) { o.databaseOutcome = call.Fail }},
	{"gateway fails", "shop/gateway", "", func(o *order) { o.gatewayOutcome = call.Fail }},
	{"orders is not there", "shop/orders", "", func(o *order) { o.unreachable = true }},
	{"slow fulfilment", "shop/fulfilment", "", func(o *order) { o.fulfilment += 50 * ms }},
}

func TestExplainNamesTheGuilty(t *testing.T) {
	t.Parallel()
	for _, tt := range studyFaults {
		for _, bare := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, bare %v", tt.name, bare), func(t *testing.T) {
				found := studied(3, tt.fault, bare).Explain(studyFault, studyEnd, contrast.Options{})
				require.NotEmpty(t, found)
				want := tt.root
				if bare && tt.bare != "" {
					want = tt.bare
				}
				assert.Contains(t, found[0].Name, want)
				if len(found) > 1 {
					assert.Greater(t, found[0].Score, found[1].Score, "a tie with %s", found[1].Name)
				}
			})
		}
	}
}

func TestExplainFindsLittleInHealthyTimes(t *testing.T) {
	for seed := range uint64(5) {
		for _, s := range studied(seed, nil, false).Explain(studyFault, studyEnd, contrast.Options{}) {
			assert.Less(t, s.Score, 0.5, "%s: %v", s.Name, s.Evidence)
		}
	}
}

// A fault at the very start of the window's minutes before must not teach what is normal.
func TestExplainQuarantine(t *testing.T) {
	s := newShop(5)
	s.run(dawn, studyFault-2*minute, 5)
	s.alter = slowDatabase // two minutes before it was noticed
	s.run(studyFault-2*minute, studyEnd, 5)
	found := learned(s.sorted(), 512, false).Explain(studyFault, studyEnd, contrast.Options{})
	require.NotEmpty(t, found)
	assert.Contains(t, found[0].Name, "shop")
	assert.False(t, found[0].Service)
}

// A swallowed failure leaves no error and no delay: the line that is missing is all there is.
func TestExplainMissesALogLine(t *testing.T) {
	s := newShop(6)
	s.run(dawn, studyEnd, 5)
	spans := s.sorted()
	x := New(testSettings(), func(incident.Incident) {})
	for chunk := range slices.Chunk(spans, 64) {
		for _, sp := range chunk {
			if sp.Role == call.RoleServer && sp.from.Service == "orders" {
				x.LearnLog(&LogLine{Trace: sp.TraceID, Span: sp.SpanID, Template: contrast.TemplateOf("placing")})
				if sp.End < studyFault {
					x.LearnLog(&LogLine{Trace: sp.TraceID, Span: sp.SpanID, Template: contrast.TemplateOf("placed")})
				}
			}
		}
		x.Learn(batchOf(chunk), nil)
	}
	found := x.Explain(studyFault, studyEnd, contrast.Options{})
	require.NotEmpty(t, found)
	assert.Equal(t, "shop/orders", found[0].Name)
	assert.Equal(t, contrast.Structure, found[0].Evidence[0].Family)

	var without contrast.Options
	without.Without[contrast.Structure] = true
	for _, s := range x.Explain(studyFault, studyEnd, without) {
		assert.Less(t, s.Score, 0.5, "nothing else tells")
	}
}

// The same spans in other batches and another order within the lateness give the same answer.
func TestExplainDoesNotDependOnArrival(t *testing.T) {
	s := newShop(8)
	s.run(dawn, studyFault, 5)
	s.alter = slowDatabase
	s.run(studyFault, studyEnd, 5)
	spans := s.sorted()
	text := func(spans []span, n int) string {
		x := learned(spans, n, false)
		return wordsOf(x, x.Explain(studyFault, studyEnd, contrast.Options{}))
	}
	want := text(spans, 512)
	assert.Equal(t, want, text(spans, 37))
	assert.Equal(t, want, text(shuffled(spans, second, 1), 512))
}

func wordsOf(x *Engine, found []Suspect) string {
	var b strings.Builder
	for i := range found {
		fmt.Fprintf(&b, "%d. %s %.3f\n", i+1, found[i].Name, found[i].Score)
		for _, line := range x.Words(&found[i]) {
			fmt.Fprintf(&b, "   %s\n", line)
		}
	}
	return b.String()
}

func TestExplainGolden(t *testing.T) {
	var b strings.Builder
	for _, tt := range studyFaults {
		x := studied(11, tt.fault, false)
		fmt.Fprintf(&b, "== %s\n%s\n", tt.name, wordsOf(x, x.Explain(studyFault, studyEnd, contrast.Options{})))
	}
	golden := filepath.Join("testdata", "explain.txt")
	if *updateExplain {
		require.NoError(t, os.MkdirAll("testdata", 0o750))
		require.NoError(t, os.WriteFile(golden, []byte(b.String()), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err, "go test -run TestExplainGolden -update-explain writes it")
	assert.Equal(t, string(want), b.String())
}

// leg is a span of a hand-made trace; parent is an index, -1 for the root.
type leg struct {
	from   call.Resource
	parent int
	role   call.Role
	what   string
	at     int64 // from the trace's start
	took   int64
}

// traced makes n traces, one every second, of the legs that each gives.
func traced(from int64, n int, legs func(at int64) []leg) []span {
	s := newShop(1)
	for k := range n {
		at, trace, ids := from+int64(k)*second, s.id(), []uint64{}
		for _, l := range legs(at) {
			parent := uint64(0)
			if l.parent >= 0 {
				parent = ids[l.parent]
			}
			ids = append(ids, s.add(l.from, trace, parent, l.role, l.what, call.Peer{}, at+l.at, l.took, call.OK, call.ReasonNone))
		}
	}
	return s.sorted()
}

// Where callers emit no spans of their calls, servers are children of servers, by other clocks.
func TestExplainServersBelowServers(t *testing.T) {
	for _, slow := range []string{"gateway", "orders"} {
		found := learned(traced(dawn, 540, func(at int64) []leg {
			took := map[string]int64{"gateway": 4 * ms, "orders": 4 * ms}
			if at >= studyFault {
				took[slow] += 40 * ms
			}
			whole := took["gateway"] + took["orders"]
			return []leg{
				{gateway, -1, call.RoleServer, "/", 0, whole},
				{orders[0], 0, call.RoleServer, "/order", -300 * ms, took["orders"]}, // its clock is slow
			}
		}), 64, false).Explain(studyFault, studyEnd, contrast.Options{})
		require.NotEmpty(t, found, slow)
		assert.Equal(t, "shop/"+slow, found[0].Name)
		assert.Equal(t, contrast.OwnTime, found[0].Evidence[0].Family)
		assert.InDelta(t, 44, found[0].Evidence[0].Now, 1)
	}
}

// Who owns the time of a leaf depends on what else its operation was seen to do.
func TestStudyOwners(t *testing.T) {
	x := learned(traced(dawn, 60, func(at int64) []leg {
		odd := int(at / second % 2)
		legs := []leg{
			{gateway, -1, call.RoleServer, "/", 0, 90 * ms},
			{gateway, 0, call.RoleInternal, "ask orders", 0, 10 * ms},
			{gateway, 0, call.RoleInternal, "ask anyone", 20 * ms, 10 * ms},
			{gateway, 0, call.RoleInternal, "work", 40 * ms, 10 * ms},
			{orders[0], 1, call.RoleInternal, "/a", 1 * ms, 8 * ms},
			{[]call.Resource{orders[0], fulfilment}[odd], 2, call.RoleInternal, "/b", 21 * ms, 8 * ms},
			{orders[0], 3, call.RoleInternal, "/c", 41 * ms, 2 * ms},
		}
		if odd == 1 {
			legs = append(legs, leg{gateway, 3, call.RoleInternal, "rest", 45 * ms, 2 * ms})
		}
		return legs
	}), 64, true)
	x.Idle()
	f := facts{x}
	want := map[string]string{
		"shop/gateway ask orders": "shop/orders", "shop/gateway ask anyone": "", "shop/gateway work": "shop/gateway",
		"shop/gateway /": "shop/gateway", "shop/gateway rest": "shop/gateway", "shop/orders /a": "shop/orders",
	}
	for op := contrast.Op(1); int(op) < x.graph.NumOps(); op++ {
		if owner, ok := want[f.OpName(op)]; ok {
			assert.Equal(t, owner, f.NodeName(f.Owner(op)), f.OpName(op))
			delete(want, f.OpName(op))
		}
	}
	assert.Empty(t, want, "not seen")
}

func TestLogJoinerIsBounded(t *testing.T) {
	j := newLogJoiner(10, minute)
	id := func(i int) (id trace.ID) { binary.BigEndian.PutUint64(id[:], uint64(i+1)); return id }
	for i := range 100 {
		j.add(id(i), logLine{span: uint64(i)}, dawn)
	}
	assert.LessOrEqual(t, len(j.young.lines)+len(j.old.lines), 10)
	assert.EqualValues(t, 90, j.dropped)
	assert.Equal(t, []logLine{{span: 99}}, j.take(id(99), nil))
	assert.Empty(t, j.take(id(99), nil), "a line counts once")
	assert.Empty(t, j.take(id(0), nil))
	j.add(id(7), logLine{span: 1}, dawn)
	j.add(id(7), logLine{span: 2}, dawn)
	assert.Len(t, j.take(id(7), nil), 2)
}

// A line whose trace does not come waits for as long as it may, and is counted.
func TestLogJoinerForgets(t *testing.T) {
	j := newLogJoiner(1000, minute)
	j.add(trace.ID{1}, logLine{span: 1}, dawn)
	j.add(trace.ID{2}, logLine{span: 2}, dawn+minute)
	assert.Len(t, j.take(trace.ID{1}, nil), 1)
	j.add(trace.ID{3}, logLine{span: 3}, dawn+2*minute)
	assert.Zero(t, j.dropped, "what was taken is not lost")
	j.add(trace.ID{4}, logLine{span: 4}, dawn+3*minute)
	assert.EqualValues(t, 1, j.dropped)
	assert.Empty(t, j.take(trace.ID{2}, nil))
}
