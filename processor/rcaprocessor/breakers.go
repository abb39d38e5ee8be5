// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor // import "github.com/firebreak-otel/firebreak/processor/rcaprocessor"

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

// What a breaker processor before this one writes on the calls of edges that are not closed.
const (
	breakerName   = "breaker.name" // caller->callee, and the operation where the breaker is of one
	breakerState  = "breaker.state"
	breakerReason = "breaker.reason"
	breakerClosed = "closed"
)

const (
	// maxSightings bounds the states of breakers that are remembered; the one seen longest ago makes room.
	maxSightings = 256
	// maxBreakerText is the most that a name may have; a reason and a state have less.
	maxBreakerText = 256
	// episode is how long a state must not have been seen for its next sight to be another time. A breaker that
	// callers heed may be open for five minutes with hardly a call.
	episode = int64(10 * time.Minute)
)

// sight is a state that a breaker was seen in.
type sight struct{ name, state string }

// sighting is from when to when that was, in event time, and why it was so.
type sighting struct {
	sight
	reason      string
	first, last int64
}

// breakers is what failed calls that passed by said of their breakers: from when to when each was seen in each state.
// The order in which they came does not matter.
type breakers struct {
	seen map[sight]*sighting
	gone int64 // that made room
}

// note reads the failed calls of a batch, and those that are marked as hurt. Times are not taken to lie after head.
func (b *breakers) note(td ptrace.Traces, batch *batch, head int64) {
	read := func(i int32) {
		c := &batch.calls.Calls[i]
		span := td.ResourceSpans().At(int(c.ResourceSpans)).ScopeSpans().At(int(c.ScopeSpans)).Spans().At(int(c.Span))
		state, ok := span.Attributes().Get(breakerState)
		if !ok || state.Str() == breakerClosed {
			return
		}
		name, _ := span.Attributes().Get(breakerName)
		reason, _ := span.Attributes().Get(breakerReason)
		if s := (sight{name.Str(), state.Str()}); s.name != "" && s.state != "" && max(len(s.name), len(s.state), len(reason.Str())) <= maxBreakerText {
			b.add(s, reason.Str(), min(c.End, head))
		}
	}
	for i := range batch.calls.Calls {
		if c := &batch.calls.Calls[i]; c.Outcome.Bad() && c.Role.Outgoing() {
			read(int32(i))
		}
	}
	for i := range batch.marks {
		read(batch.marks[i].Call)
	}
}

func (b *breakers) add(s sight, reason string, at int64) {
	old := b.seen[s]
	switch {
	case old == nil:
		if b.seen == nil {
			b.seen = map[sight]*sighting{}
		}
		if len(b.seen) == maxSightings {
			b.makeRoom()
		}
		s = sight{strings.Clone(s.name), strings.Clone(s.state)}
		b.seen[s] = &sighting{s, strings.Clone(reason), at, at}
	case at-old.last > episode:
		old.reason, old.first, old.last = strings.Clone(reason), at, at
	case old.first-at > episode: // it belongs to an earlier time
	default:
		if at < old.first {
			old.first, old.reason = at, strings.Clone(reason)
		}
		old.last = max(old.last, at)
	}
}

func (b *breakers) makeRoom() {
	var oldest *sighting
	for _, s := range b.seen {
		if oldest == nil || s.last < oldest.last || s.last == oldest.last && compareSights(s, oldest) < 0 {
			oldest = s
		}
	}
	delete(b.seen, oldest.sight)
	b.gone++
}

func compareSights(x, y *sighting) int {
	return cmp.Or(cmp.Compare(x.first, y.first), strings.Compare(x.name, y.name), strings.Compare(x.state, y.state))
}

// of returns the sightings on edges from or to nodes of an incident, between from and to, in order of time.
func (b *breakers) of(in *incident.Incident, from, to int64) (out []*sighting) {
	v := &in.Verdict
	nodes := slices.Concat([]string{v.Root}, v.Members, v.Impacted)
	for _, s := range b.seen {
		if s.first <= to && s.last >= from && touches(s.name, nodes) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, compareSights)
	return out
}

// touches says that a breaker is of an edge from or to one of the nodes.
func touches(breaker string, nodes []string) bool {
	caller, callee, _ := strings.Cut(breaker, "->")
	return slices.ContainsFunc(nodes, func(n string) bool {
		return caller == n || callee == n || strings.HasPrefix(callee, n+" ")
	})
}
