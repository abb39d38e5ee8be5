// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate // import "github.com/firebreak-otel/firebreak/internal/simulate"

import (
	"iter"
	"math"
	"math/rand/v2"
	"time"

	"github.com/firebreak-otel/firebreak/internal/replay"
)

// Axes is how a scenario is run: what may differ between two runs of one system.
type Axes struct {
	Rate     float64       // traces a second
	Sampling float64       // share of traces that are kept at the head, 0..1
	Skew     time.Duration // hosts' clocks are wrong by up to this much, either way
	Loss     float64       // share of spans that never arrive
	Disorder time.Duration // batches arrive up to this much later
	Logs     bool
	Mild     bool          // the lower of two severities
	Warmup   time.Duration // 0: the scenario's own
	Duration time.Duration // after time zero, at most; 0: the scenario's own
}

// Simulation is one scenario, drawn with one seed. It is used once, by one goroutine.
type Simulation struct {
	scenario *Scenario
	axes     Axes
	seed     uint64

	agenda agenda
	now    int64
	zero   int64 // time zero of the scenario
	end    int64

	// Three streams of chance, so that what is looked at does not change what happens.
	shape, rng, marks *rand.Rand

	growth    float64
	hosts     []*host
	instances []*instance
	services  map[string]*service
	databases map[string]*database
	topics    map[string]*topic
	externals map[string]*external
	absent    map[string]bool
	faults    []*Fault
	active    active
	entries   []entry

	telemetry telemetry
	out       []replay.Batch
	counts    Counts
}

// Counts is what happened, whether or not a span tells of it.
type Counts struct {
	Requests, Failed                            int64 // of users
	Calls, Served, Statements, Publishes, Takes int64 // ended; each has a span, or one was lost
	Receipts                                    int64 // of records: a span of their own in Go
	Spans, Lost, Unsampled, Uncovered, Logs     int64 // of telemetry
}

// epoch is the time that simulations begin: a Monday at noon, since days have a shape.
const epoch = int64(1_767_614_400) * int64(time.Second)

// New draws a system from the scenario. The scenario must be one that Load returned.
func New(sc *Scenario, axes Axes, seed uint64) (*Simulation, error) {
	if axes.Rate == 0 {
		axes.Rate = sc.Load.Rate
	}
	if axes.Sampling == 0 {
		axes.Sampling = 1
	}
	if axes.Warmup == 0 {
		axes.Warmup = sc.Warmup
	}
	s := &Simulation{
		scenario: sc, axes: axes, seed: seed,
		shape:    rand.New(rand.NewPCG(seed, 1)),
		rng:      rand.New(rand.NewPCG(seed, 2)),
		marks:    rand.New(rand.NewPCG(seed, 3)),
		services: map[string]*service{}, databases: map[string]*database{}, topics: map[string]*topic{},
		externals: map[string]*external{}, absent: map[string]bool{}, active: active{},
	}
	s.now = epoch
	s.zero = epoch + int64(axes.Warmup)
	s.end = s.zero + int64(sc.Duration)
	if axes.Duration > 0 {
		s.end = min(s.end, s.zero+int64(axes.Duration))
	}
	if err := s.build(); err != nil {
		return nil, err
	}
	s.telemetry.start(s)
	s.planFaults()
	s.planLoad()
	return s, nil
}

// Zero is the scenario's time zero, in unix nanoseconds.
func (s *Simulation) Zero() int64 { return s.zero }

// Counts is what has happened so far.
func (s *Simulation) Counts() Counts { return s.counts }

// Batches plays the simulation. Batches come in order of arrival and are the caller's.
func (s *Simulation) Batches() iter.Seq[replay.Batch] {
	return func(yield func(replay.Batch) bool) {
		from := int64(math.MinInt64)
		if f := s.scenario.Telemetry.From; f != nil {
			from = s.zero + int64(*f)
		}
		for len(s.agenda.heap) > 0 {
			e := s.agenda.pop()
			if e.at > s.end {
				break
			}
			s.now = e.at
			e.do()
			for i := range s.out {
				if int64(s.out[i].Arrival) >= from && !yield(s.out[i]) {
					return
				}
				s.out[i] = replay.Batch{}
			}
			s.out = s.out[:0]
		}
	}
}

func (s *Simulation) at(t int64, do func()) { s.agenda.push(max(t, s.now), do) }

func (s *Simulation) after(d int64, do func()) { s.agenda.push(s.now+max(d, 0), do) }

// sleepFree is after, for what nobody can interrupt.
func (s *Simulation) sleepFree(d int64, do func()) { s.after(d, do) }

// draw is a time around a median: log-normal.
func (s *Simulation) draw(median, sigma float64) float64 {
	if median <= 0 {
		return 0
	}
	return median * math.Exp(sigma*s.rng.NormFloat64())
}

// entry is one operation that users ask for.
type entry struct {
	step  *step
	share float64
}

// planLoad has users come.
func (s *Simulation) planLoad() {
	load := &s.scenario.Load
	svc := s.services[load.Entry]
	total := 0.0
	for _, op := range sorted(load.Mix) {
		share := load.Mix[op] * math.Exp(0.1*s.shape.NormFloat64())
		total += share
		s.entries = append(s.entries, entry{&step{svc: svc, op: svc.ops[op]}, share})
	}
	for i := range s.entries {
		s.entries[i].share /= total
	}
	pace := math.Exp(0.08 * s.shape.NormFloat64())
	var next func()
	next = func() {
		s.arrive()
		s.after(int64(s.rng.ExpFloat64()*1e9/(pace*s.rate())), next)
	}
	s.after(int64(s.rng.ExpFloat64()*1e9/(pace*s.rate())), next)
}

// rate is how many requests users send a second just now.
func (s *Simulation) rate() float64 {
	r := s.axes.Rate
	if day := s.scenario.Load.Day; day > 0 {
		r *= 1 + day*math.Sin(2*math.Pi*float64(s.now-epoch)/float64(24*time.Hour))
	}
	for _, f := range s.active["surge"] {
		if f.Op == "" {
			r *= f.Factor
		}
	}
	return r
}

// arrive is one user's request.
func (s *Simulation) arrive() {
	x := s.rng.Float64()
	e := &s.entries[len(s.entries)-1]
	for i := range s.entries {
		if x -= s.entries[i].share; x < 0 {
			e = &s.entries[i]
			break
		}
	}
	s.counts.Requests++
	in := s.pick(e.step.svc)
	patience := int64(s.scenario.Load.Patience)
	sc := &scope{}
	over := false
	finish := func(r result) {
		if !over && !r.ok() {
			s.counts.Failed++
		}
		over = true
	}
	if patience > 0 {
		sc.deadline = s.now + patience
		s.after(patience, func() {
			if !over {
				finish(result{kind: failTimeout})
				sc.cancel(result{kind: failCancelled, message: "context canceled"})
			}
		})
	}
	s.serve(in, e.step.op, &request{tr: s.newTrace(), sc: sc}, finish)
}
