// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/engine"
)

// What is read of spans: failed calls, and marked ones, with a breaker that is not closed.
func TestBreakersAreReadFromSpans(t *testing.T) {
	for _, tt := range []struct {
		name   string
		failed bool
		marked bool
		attr   map[string]any
		want   *sighting
	}{
		{"a failed call", true, false, map[string]any{"breaker.name": "gateway->orders", "breaker.state": "open", "breaker.reason": "failure_rate"},
			&sighting{sight{"gateway->orders", "open"}, "failure_rate", noon + 9e6, noon + 9e6}},
		{"a hurt call", false, true, map[string]any{"breaker.name": "gateway->orders", "breaker.state": "half_open"},
			&sighting{sight{"gateway->orders", "half_open"}, "", noon + 9e6, noon + 9e6}},
		{"a call that is well", false, false, map[string]any{"breaker.name": "gateway->orders", "breaker.state": "open"}, nil},
		{"closed", true, false, map[string]any{"breaker.name": "gateway->orders", "breaker.state": "closed"}, nil},
		{"no breaker", true, false, nil, nil},
		{"no name", true, false, map[string]any{"breaker.state": "open"}, nil},
		{"of another type", true, false, map[string]any{"breaker.name": "gateway->orders", "breaker.state": 1}, nil},
		{"too long", true, false, map[string]any{"breaker.name": strings.Repeat("x", 1<<20), "breaker.state": "open"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 0)
			td := ptrace.NewTraces()
			r.request(td, noon, tt.failed)
			call := td.ResourceSpans().At(1).ScopeSpans().At(0).Spans().At(0).Attributes()
			for k, v := range tt.attr {
				require.NoError(t, call.PutEmpty(k).FromRaw(v))
			}
			b := new(batch)
			b.calls.Read(td)
			if tt.marked {
				b.marks = []engine.Mark{{Call: 1}}
			}
			var seen breakers
			seen.note(td, b, noon+second)
			if tt.want == nil {
				assert.Empty(t, seen.seen)
				return
			}
			require.Len(t, seen.seen, 1)
			assert.Equal(t, tt.want, seen.seen[tt.want.sight])
			var early breakers
			early.note(td, b, noon)
			assert.Equal(t, int64(noon), early.seen[tt.want.sight].last, "the future is not believed")
		})
	}
}

// Within an episode the order does not matter; what comes much later is another one.
func TestSightingsMerge(t *testing.T) {
	open := sight{"a->b", "open"}
	for seed := range uint64(20) {
		var b breakers
		for _, i := range rand.New(rand.NewPCG(seed, 1)).Perm(60) {
			b.add(open, fmt.Sprint(i), noon+int64(i)*second)
		}
		require.Equal(t, &sighting{open, "0", noon, noon + 59*second}, b.seen[open])
		b.add(open, "again", noon+59*second+episode+1)
		require.Equal(t, &sighting{open, "again", noon + 59*second + episode + 1, noon + 59*second + episode + 1}, b.seen[open])
		b.add(open, "late", noon)
		require.Equal(t, "again", b.seen[open].reason)
	}
}

// Whatever comes, a bound holds, and the newest stay.
func TestSightingsAreBounded(t *testing.T) {
	var b breakers
	for i := range 3 * maxSightings {
		b.add(sight{fmt.Sprintf("a->%d", i), "open"}, "", noon+int64(i)*second)
	}
	require.Len(t, b.seen, maxSightings)
	assert.Equal(t, int64(2*maxSightings), b.gone)
	for i := 2 * maxSightings; i < 3*maxSightings; i++ {
		assert.Contains(t, b.seen, sight{fmt.Sprintf("a->%d", i), "open"})
	}
}
