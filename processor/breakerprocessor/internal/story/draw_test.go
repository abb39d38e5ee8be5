// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package story

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/trace"
)

const ms = int64(1e6)

// drawing is a trace drawn as lines, one a span, indented below their parents:
//
//	<service> <what> <from>-<to> <outcome> [#<resends>] [missing] [=> <verdict> [absorbed]]
//
// what is serves, works, takes (a message), calls:<peer>[/<operation>] or sends:<peer>; times are milliseconds; the
// outcome is ok, fail, timeout, unreachable, throttled, client, cancelled or rejected. A span that is missing has not arrived.
// After the arrow stands what is expected of a failed call; nothing: no verdict.
type drawing struct {
	spans   []trace.Span
	tags    []uint32
	want    map[uint64]string
	lines   map[uint64]string
	handles map[string]uint32
	names   map[uint32]string
	callees map[uint32]uint32
}

var outcomes = map[string]struct {
	outcome call.Outcome
	reason  call.Reason
}{
	"ok":          {call.OK, call.ReasonNone},
	"fail":        {call.Fail, call.ReasonError},
	"timeout":     {call.Fail, call.ReasonTimeout},
	"unreachable": {call.Fail, call.ReasonUnreachable},
	"throttled":   {call.Throttled, call.ReasonThrottled},
	"client":      {call.Ignored, call.ReasonClient},
	"cancelled":   {call.Ignored, call.ReasonCancelled},
	"rejected":    {call.Ignored, call.ReasonRejected},
}

var roles = map[string]call.Role{
	"serves": call.RoleServer, "works": call.RoleInternal, "takes": call.RoleConsumer, "calls": call.RoleClient, "sends": call.RoleProducer,
}

func draw(t *testing.T, text string) *drawing {
	d := &drawing{
		want: map[uint64]string{}, lines: map[uint64]string{}, handles: map[string]uint32{}, names: map[uint32]string{}, callees: map[uint32]uint32{},
	}
	type level struct {
		indent int
		id     uint64
	}
	var open []level
	id := uint64(0)
	for line := range strings.SplitSeq(text, "\n") {
		drawn, verdict, _ := strings.Cut(line, "=>")
		f := strings.Fields(drawn)
		if len(f) == 0 {
			continue
		}
		require.GreaterOrEqual(t, len(f), 4, line)
		id++
		indent := len(line) - len(strings.TrimLeft(line, " \t"))
		for len(open) > 0 && open[len(open)-1].indent >= indent {
			open = open[:len(open)-1]
		}
		s := trace.Facts{ID: id, Instance: d.handle(f[0])}
		if len(open) > 0 {
			s.Parent = open[len(open)-1].id
		}
		open = append(open, level{indent, id})
		what, peer, _ := strings.Cut(f[1], ":")
		role, ok := roles[what]
		require.True(t, ok, line)
		s.Role = role
		peer, operation, _ := strings.Cut(peer, "/")
		if role.Outgoing() && peer != "?" {
			s.Op = d.handle(f[0] + "->" + peer)
			d.callees[s.Op] = d.handle(peer)
		}
		_, err := fmt.Sscanf(f[2], "%d-%d", &s.Start, &s.End)
		require.NoError(t, err, line)
		s.Start, s.End = s.Start*ms, s.End*ms
		o, ok := outcomes[f[3]]
		require.True(t, ok, line)
		s.Outcome, s.Reason = o.outcome, o.reason
		switch {
		case f[3] == "rejected" && !role.Outgoing():
			s.Outcome = call.Fail
		case f[3] == "throttled" && role.Incoming():
			s.Outcome = call.Ignored
		}
		missing := false
		for _, word := range f[4:] {
			if word == "missing" {
				missing = true
				continue
			}
			_, err := fmt.Sscanf(word, "#%d", &s.Attempt)
			require.NoError(t, err, line)
		}
		if missing {
			continue
		}
		d.want[id], d.lines[id] = strings.TrimSpace(verdict), strings.TrimSpace(drawn)
		d.spans = append(d.spans, trace.NewSpan(s))
		d.tags = append(d.tags, d.handle("/"+operation))
	}
	d.sort()
	return d
}

func (d *drawing) handle(name string) uint32 {
	h, ok := d.handles[name]
	if !ok {
		h = uint32(len(d.handles) + 1)
		d.handles[name], d.names[h] = h, name
	}
	return h
}

func (d *drawing) sort() {
	order := make([]int, len(d.spans))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(d.spans[a].Start(), d.spans[b].Start()), cmp.Compare(d.spans[a].ID, d.spans[b].ID))
	})
	spans, tags := make([]trace.Span, len(order)), make([]uint32, len(order))
	for to, from := range order {
		spans[to], tags[to] = d.spans[from], d.tags[from]
	}
	d.spans, d.tags = spans, tags
}

func (d *drawing) callee(edge uint32) (uint32, bool) {
	c, ok := d.callees[edge]
	return c, ok
}

func (d *drawing) tell() *Story {
	var w trace.Walker
	teller := Teller{Callee: d.callee}
	return teller.Tell(d.spans, d.tags, w.Walk(d.spans))
}

func (m Meaning) text() string {
	s := [...]string{"", "charged", "propagated", "givenup"}[m.Verdict]
	if m.Absorbed {
		s += " absorbed"
	}
	return s
}

func (d *drawing) services(handles []uint32) string {
	var names []string
	for _, h := range handles {
		names = append(names, d.names[h])
	}
	return strings.Join(names, " ")
}
