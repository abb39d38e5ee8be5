// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pipeline"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/simulate"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/blame"
)

// simulated returns the calls of a simulated scenario in the batches that they came in, and the time at which it
// begins to hurt, for lasting after that.
func simulated(t *testing.T, name string, rate float64, lasting time.Duration) (batches []*call.Batch, onset int64) {
	t.Helper()
	files, err := filepath.Glob("../../../../testdata/scenarios/" + name + "-*.yaml")
	require.NoError(t, err)
	require.Len(t, files, 1)
	sc, err := simulate.Load(files[0])
	require.NoError(t, err)
	begin := sc.Truth.Onset
	if begin == 0 {
		begin = sc.Faults[0].From
	}
	s, err := simulate.New(sc, simulate.Axes{Rate: rate, Sampling: 1, Warmup: 90 * time.Second, Duration: begin + lasting}, 1)
	require.NoError(t, err)
	for b := range s.Batches() {
		if b.Signal == pipeline.SignalTraces {
			var in call.Batch
			in.Read(b.Traces)
			batches = append(batches, &in)
		}
	}
	return batches, s.Zero() + int64(begin)
}

func scenarioSettings() Settings {
	set := testSettings()
	set.Quiet = 3 * second // as it ships
	set.Graph.Nodes, set.Graph.Ops, set.Graph.Edges = 1000, 256, 1000
	return set
}

// half returns the calls of a batch whose traces are one side's.
func half(b *call.Batch, side byte) *call.Batch {
	out := &call.Batch{Resources: b.Resources}
	for _, c := range b.Calls {
		if c.TraceID[15]&1 == side {
			out.Calls = append(out.Calls, c)
		}
	}
	return out
}

// Two engines that saw half the traces each, merged a minute into the incident, say what the one says that saw all.
func TestMergedVerdicts(t *testing.T) {
	t.Parallel()
	names := []string{"01", "04", "07", "13", "14", "18", "24", "29", "35", "45"}
	if testing.Short() {
		names = names[:2]
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			batches, onset := simulated(t, name, 20, time.Minute)
			whole, a, b := newProbe(scenarioSettings()), newProbe(scenarioSettings()), newProbe(scenarioSettings())
			for _, batch := range batches {
				whole.Learn(batch, nil)
				a.Learn(half(batch, 0), nil)
				b.Learn(half(batch, 1), nil)
			}
			whole.Idle()
			a.Merge(b.Engine)
			require.Equal(t, whole.now, a.now)
			require.NotEmpty(t, whole.incidents)
			from := whole.incidents[0].Onset
			assert.InDelta(t, onset, from, float64(10*second))
			want, got := verdictOf(whole.Engine, from, whole.now), verdictOf(a.Engine, from, a.now)
			assert.Equal(t,
				[]string{want.Root, want.Kind, want.Reason, want.Instance, want.Version},
				[]string{got.Root, got.Kind, got.Reason, got.Instance, got.Version}, "%s\n%s", want.Summary, got.Summary)
			assert.InDelta(t, want.Score, got.Score, .1)
			assert.InEpsilon(t, hurtUnits(whole.Engine, from), hurtUnits(a.Engine, from), .1)
		})
	}
}

// hurtUnits leaves out records that lay too long: who publishes and who reads are of two traces, as a rule, and halves
// that see one of them each do not know for how long.
func hurtUnits(e *Engine, from int64) (n int64) {
	for r, c := range e.ledger.Window(from, e.now) {
		if r.Reason != blame.Lag {
			n += c.Units
		}
	}
	return n
}

// The same calls give the same incidents, however they are cut into batches, and in whatever order they come within
// the allowed lateness.
func TestScenariosCutAndShuffled(t *testing.T) {
	t.Parallel()
	names := []string{"01", "40"}
	if testing.Short() {
		names = names[:1]
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			batches, _ := simulated(t, name, 20, 2*time.Minute)
			var spans []span
			whole := newProbe(scenarioSettings())
			for _, b := range batches {
				whole.Learn(b, nil)
				for _, c := range b.Calls {
					spans = append(spans, span{b.Resources[c.Resource], c})
				}
			}
			whole.Idle()
			require.NotEmpty(t, whole.incidents)
			for _, n := range []int{1, 97, len(spans)} {
				p := newProbe(scenarioSettings())
				p.feed(n, spans)
				p.Idle()
				assert.Equal(t, whole.incidents, p.incidents, "batches of %d", n)
			}
			for seed := range uint64(3) {
				p := newProbe(scenarioSettings())
				p.feed(1+rand.New(rand.NewPCG(seed, 1)).IntN(500), shuffled(slices.Clone(spans), 4*second, seed))
				p.Idle()
				assert.Equal(t, whole.identities(), p.identities(), "shuffled, seed %d", seed)
			}
		})
	}
}
