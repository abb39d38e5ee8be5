// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pipeline"

	"github.com/firebreak-otel/firebreak/internal/call"
)

func TestOneSeedGivesTheSameBytes(t *testing.T) {
	sc, err := Load(scenarios + "01-slow-database.yaml")
	require.NoError(t, err)
	ax := Axes{Rate: 20, Logs: true, Warmup: 30 * time.Second, Duration: 30 * time.Second, Loss: 0.02, Sampling: 0.5, Disorder: time.Second, Skew: time.Second}
	one, again, other := watch(t, start(t, sc, ax, 7)), watch(t, start(t, sc, ax, 7)), watch(t, start(t, sc, ax, 8))
	assert.Equal(t, one.all, again.all)
	assert.NotEqual(t, one.all, other.all)
	assert.Positive(t, one.spans)
}

func TestSeedsDrawOtherSystems(t *testing.T) {
	sc := shop(t, "")
	counts, absent := map[int]bool{}, map[bool]bool{}
	for seed := range uint64(20) {
		s := start(t, sc, Axes{}, seed)
		counts[len(s.services["checkout"].instances)] = true
		absent[s.absent["recommendations"]] = true
	}
	assert.Equal(t, map[int]bool{3: true, 4: true, 5: true}, counts)
	assert.Len(t, absent, 2)
}

// What is looked at does not change what happens.
func TestTelemetryLeavesTheSystemAlone(t *testing.T) {
	sc, err := Load(scenarios + "19-retry-storm.yaml")
	require.NoError(t, err)
	happened := func(ax Axes) Counts {
		ax.Rate, ax.Warmup, ax.Duration = 20, 20*time.Second, 40*time.Second
		c := watch(t, start(t, sc, ax, 3)).counts
		c.Spans, c.Lost, c.Unsampled, c.Logs = 0, 0, 0, 0
		return c
	}
	plain := happened(Axes{})
	for _, ax := range []Axes{{Sampling: 0.25}, {Loss: 0.5}, {Disorder: 5 * time.Second}, {Skew: 2 * time.Second}, {Logs: true}} {
		assert.Equal(t, plain, happened(ax), "%+v", ax)
	}
}

func TestEveryCallHasASpanUnlessItWasLost(t *testing.T) {
	for _, file := range []string{"01-slow-database", "18-crash-loop", "35-cancelled-siblings", "45-uninstrumented", "25-poison-message"} {
		sc, err := Load(scenarios + file + ".yaml")
		require.NoError(t, err)
		s := start(t, sc, Axes{Rate: 20, Warmup: 30 * time.Second, Duration: 40 * time.Second, Loss: 0.1, Sampling: 0.5}, 1)
		got := watch(t, s)
		c := got.counts
		assert.Equal(t, c.Calls+c.Served+c.Statements+c.Publishes+c.Takes+c.Receipts, c.Spans+c.Lost+c.Unsampled+c.Uncovered, file)
		waiting := int64(0) // in the instances' hands at the end
		for _, in := range s.instances {
			waiting += int64(in.spans.n)
		}
		assert.InDelta(t, c.Spans, int64(got.spans)+waiting, 1000, "written = arrived + not yet sent or on the way")
		assert.InDelta(t, 0.1, float64(c.Lost)/float64(c.Lost+c.Spans), 0.02, file)
	}
}

// Every scenario's spans are read without a complaint, and every call out says whom it speaks to.
func TestSpansFollowTheConventions(t *testing.T) {
	files, err := filepath.Glob(scenarios + "[0-9]*.yaml")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 52)
	seenArchetypes, quiet := map[int]bool{}, 0
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			sc, err := Load(file)
			require.NoError(t, err)
			seenArchetypes[sc.Archetype] = true
			if sc.Truth.Silent || sc.Truth.Unknown {
				quiet++
			}
			s := start(t, sc, Axes{Rate: 10, Logs: true, Warmup: 10 * time.Second, Duration: 20 * time.Second}, 1)
			var b call.Batch
			n := 0
			for batch := range s.Batches() {
				if batch.Signal != pipeline.SignalTraces {
					continue
				}
				b.Read(batch.Traces)
				require.Zero(t, b.Skipped)
				n += len(b.Calls)
				for i := range b.Calls {
					c := &b.Calls[i]
					if want := c.Role.Outgoing() || c.Role == call.RoleConsumer; want != (c.Peer.Kind != call.NodeUnknown) || c.Operation.String() == "" {
						t.Fatalf("peer %q of kind %s, operation %q", c.Peer.String(), c.Peer.Kind, c.Operation.String())
					}
				}
			}
			assert.Positive(t, n)
		})
	}
	for i := 1; i <= 52; i++ {
		assert.True(t, seenArchetypes[i], "archetype %d has no scenario", i)
	}
	assert.GreaterOrEqual(t, quiet, 12)
}

func TestArrivals(t *testing.T) {
	for _, disorder := range []time.Duration{0, 5 * time.Second} {
		s := start(t, shop(t, ""), Axes{Rate: 50, Logs: true, Warmup: 30 * time.Second, Disorder: disorder}, 1)
		last, longest := int64(0), int64(0)
		for batch := range s.Batches() {
			at := int64(batch.Arrival)
			require.GreaterOrEqual(t, at, last, "arrivals do not go back")
			last = at
			require.Positive(t, batch.Len())
			require.LessOrEqual(t, batch.Len(), 512)
			if batch.Signal != pipeline.SignalTraces {
				continue
			}
			for _, ss := range batch.Traces.ResourceSpans().At(0).ScopeSpans().All() {
				for _, span := range ss.Spans().All() {
					late := at - int64(span.EndTimestamp())
					require.Positive(t, late, "nothing arrives before it ended")
					longest = max(longest, late)
				}
			}
		}
		most := int64(5*time.Second+30*time.Millisecond) + int64(disorder)
		assert.LessOrEqual(t, longest, most)
		assert.Greater(t, longest, most-int64(time.Second))
	}
}

func TestSampledSpansStandForTheOthers(t *testing.T) {
	sc := shop(t, "")
	all := watch(t, start(t, sc, Axes{Rate: 100, Warmup: 30 * time.Second}, 1))
	part := watch(t, start(t, sc, Axes{Rate: 100, Warmup: 30 * time.Second, Sampling: 0.25}, 1))
	assert.InDelta(t, 0.25, float64(part.spans)/float64(all.spans), 0.02)
	assert.InDelta(t, 1, part.weight/all.weight, 0.06)
}

func TestSkewMovesHostsNotDurations(t *testing.T) {
	sc := shop(t, "")
	right := watch(t, start(t, sc, Axes{Warmup: 20 * time.Second}, 1))
	wrong := watch(t, start(t, sc, Axes{Warmup: 20 * time.Second, Skew: 2 * time.Second}, 1))
	assert.NotEqual(t, right.all, wrong.all)
	assert.Equal(t, right.spans, wrong.spans)
}

// The line before c servers is as long as Erlang's formula says.
func TestQueuesAreThoseOfTheTheory(t *testing.T) {
	for _, tt := range []struct {
		servers int
		load    float64
	}{{1, 0.5}, {1, 0.8}, {4, 0.8}, {16, 0.9}} {
		t.Run(fmt.Sprintf("M/M/%d at %v", tt.servers, tt.load), func(t *testing.T) {
			s := start(t, shop(t, "load: {rate: 0.000001}"), Axes{Rate: 1e-6}, 1)
			s.agenda = agenda{}
			const service = 10e6
			p := &pool{size: tt.servers}
			waited, n := 0.0, 0
			var arrive func()
			arrive = func() {
				came := s.now
				sc := &scope{}
				s.acquire(sc, p, 0, fine, func(result) {
					waited += float64(s.now - came)
					n++
					s.sleep(sc, int64(s.rng.ExpFloat64()*service), func(result) { s.release(p) })
				})
				if n < 150_000 {
					s.after(int64(s.rng.ExpFloat64()*service/(tt.load*float64(tt.servers))), arrive)
				}
			}
			arrive()
			for len(s.agenda.heap) > 0 {
				e := s.agenda.pop()
				s.now = e.at
				e.do()
			}
			want := erlangC(tt.servers, tt.load) * service / (float64(tt.servers) * (1 - tt.load))
			assert.InEpsilon(t, want, waited/float64(n), 0.1)
		})
	}
}

// erlangC is the chance to wait.
func erlangC(c int, rho float64) float64 {
	a := rho * float64(c)
	term, sum := 1.0, 0.0
	for k := range c {
		sum += term
		term *= a / float64(k+1)
	}
	return term / (1 - rho) / (sum + term/(1-rho))
}

// Nothing in the file says "storm": it comes of slowness, timeouts and retries.
func TestRetryStormEmerges(t *testing.T) {
	attempts := func(retries int) (perCall, failed float64) {
		got := run(t, fmt.Sprintf(`
system:
  services:
    gateway: {operations: {POST /checkout: [{call: checkout, op: POST /orders, timeout: 1500ms, retries: %d}]}}
    checkout: {operations: {POST /orders: [{call: inventory, op: Reserve, timeout: 300ms, retries: %d}]}}
    inventory: {workers: 2, on_timeout: continue}
faults: [{kind: slow, target: inventory, factor: 400, from: 5s}]
`, retries, retries))
		gate := got.get("web POST /buy")
		return float64(got.get("checkout > inventory.shop.internal:9090 shop.inventory.v1.Inventory/Reserve").n) / float64(gate.n), gate.share()
	}
	calm, _ := attempts(0)
	storm, failed := attempts(3)
	assert.Less(t, calm, 1.1)
	assert.Greater(t, storm, 4.0, "four attempts at two layers")
	assert.Greater(t, failed, 0.5)
}

// Twice the work that fits, and the queue keeps growing after the trigger is gone; with retries off it drains.
func TestOverloadOutlivesItsTrigger(t *testing.T) {
	after := func(retries int) float64 {
		sc := shop(t, fmt.Sprintf(`
system:
  services:
    gateway: {workers: 500, operations: {POST /checkout: [{call: checkout, op: POST /orders, timeout: 2500ms, retries: %d}]}}
    web: {workers: 500}
    checkout: {workers: 500, operations: {POST /orders: [{call: inventory, op: Reserve, timeout: 400ms, retries: %d}]}}
    inventory: {instances: [3], workers: 1, on_timeout: continue, operations: {Reserve: [{work: 160ms}]}}
faults: [{kind: slow, target: inventory, factor: 8, to: 20s}]
`, retries, retries))
		sc.Duration = 200 * time.Second
		s := start(t, sc, Axes{Warmup: 30 * time.Second}, 2)
		failed := 0
		for range s.Batches() {
			if s.now > s.zero+150e9 && failed == 0 {
				failed = int(s.counts.Failed) + 1
			}
		}
		return float64(int(s.counts.Failed) + 1 - failed)
	}
	assert.Greater(t, after(3), 100.0)
	assert.Less(t, after(0), 50.0)
}
