// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate // import "github.com/firebreak-otel/firebreak/internal/simulate"

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

type host struct {
	name, zone string
	skew       int64 // of its clock
}

// service is a Service as drawn.
type service struct {
	name         string
	def          *Service
	instances    []*instance
	ops          map[string]*operation
	instrumented bool
	next         int // instance that is asked next
	flags        map[string]bool
	renamed      bool
}

type operation struct {
	name  string
	steps []*step
}

// step is a Step with what was looked up and drawn.
type step struct {
	Step
	work     float64 // median, ns
	sigma    float64
	svc      *service
	op       *operation
	db       *database
	topic    *topic
	ext      *external
	miss     []*step
	fallback []*step
	branches [][]*step
	breaker  map[*instance]*breaker
}

type instance struct {
	svc     *service
	id      string
	number  int
	host    *host
	ip      string
	version string
	workers pool
	pools   map[string]*connections
	locks   map[string]*pool
	paused  int64 // until when
	lost    int64 // nanoseconds lost to pauses, the present one in full
	spans   exporter
	records exporter
	// crashed: nobody listens.
	crashed bool
}

type connections struct {
	pool
	timeout int64
	full    int // size when no fault shrinks it
}

type database struct {
	name, system, namespace, address string
	port                             int
	workers                          pool
	keys                             float64
	warm                             float64 // share of a cache's keys that are there
	cache                            bool
}

type external struct {
	name           string
	port           int
	latency, sigma float64
	quota          float64
	tokens         float64
	filled         int64
}

type topic struct {
	name, system, destination string
	ack, fetch                float64
	partitions                int
	offsets                   []int64
	groups                    []*group
}

// group is a service that reads a topic.
type group struct {
	svc   *service
	topic *topic
	def   Group
	op    *operation
	lanes []*lane
}

// lane is one partition as a group reads it: one record after the other.
type lane struct {
	number int
	line   []message
	head   int
	busy   int // records that are being taken
}

type message struct {
	tr     *trace
	span   uint64
	offset int64
	key    uint64
}

const defaultSigma = 0.35

// build draws the topology.
func (s *Simulation) build() error {
	sys := &s.scenario.System
	s.growth = max(1, s.axes.Rate/sys.Reference)
	clocks := rand.New(rand.NewPCG(s.seed, 4))
	for i := range sys.Hosts {
		h := &host{name: fmt.Sprintf("host-%d", i+1), zone: sys.Zones[i%len(sys.Zones)]}
		if s.axes.Skew > 0 {
			h.skew = int64((2*clocks.Float64() - 1) * float64(s.axes.Skew))
		}
		s.hosts = append(s.hosts, h)
	}
	for _, name := range sorted(sys.Databases) {
		d := sys.Databases[name]
		system, rest, _ := strings.Cut(name, "/")
		db := &database{name: name, system: system, namespace: rest, address: d.Address, port: d.Port, keys: float64(d.Keys), warm: 1}
		if isCache(system) {
			db.namespace, db.address, db.cache = "", rest, true
		}
		db.workers.size = s.grown(d.Workers)
		s.databases[name] = db
	}
	for _, name := range sorted(sys.Externals) {
		d := sys.Externals[name]
		s.externals[name] = &external{name: name, port: d.Port, latency: s.vary(float64(d.Latency)), sigma: or(d.Sigma, defaultSigma), quota: d.Quota * s.growth}
	}
	for _, name := range sorted(sys.Topics) {
		d := sys.Topics[name]
		system, rest, _ := strings.Cut(name, "/")
		s.topics[name] = &topic{
			name: name, system: system, destination: rest, ack: s.vary(float64(d.Ack)), fetch: s.vary(float64(d.Fetch)),
			partitions: d.Partitions, offsets: make([]int64, d.Partitions),
		}
	}
	place := 0
	for _, name := range sorted(sys.Services) {
		d := sys.Services[name]
		absent := d.Optional > 0 && s.shape.Float64() < d.Optional
		count := d.Instances[0]
		if len(d.Instances) == 2 {
			count += s.shape.IntN(d.Instances[1] - d.Instances[0] + 1)
		}
		svc := &service{name: name, def: d, ops: map[string]*operation{}, flags: map[string]bool{}, instrumented: d.Instrumented == nil || *d.Instrumented}
		if absent {
			s.absent[name] = true
		}
		for i := range count {
			place++
			in := &instance{
				svc: svc, number: i, id: fmt.Sprintf("%s-%d", name, i+1), host: s.hosts[place%len(s.hosts)], version: d.Version,
				ip: fmt.Sprintf("10.1.%d.%d", place/250, place%250+1), pools: map[string]*connections{}, locks: map[string]*pool{},
			}
			in.workers = pool{size: s.grown(d.Workers), longest: s.grown(d.Queue)}
			for _, db := range sorted(d.Pools) {
				p := d.Pools[db]
				size := s.grown(p.Size)
				in.pools[db] = &connections{pool: pool{size: size}, timeout: int64(p.Timeout), full: size}
			}
			svc.instances = append(svc.instances, in)
			s.instances = append(s.instances, in)
		}
		s.services[name] = svc
		for _, op := range sorted(d.Operations) {
			svc.ops[op] = &operation{name: op}
		}
	}
	for _, name := range sorted(s.services) {
		svc := s.services[name]
		for _, op := range sorted(svc.ops) {
			svc.ops[op].steps = s.compile(svc.def.Operations[op])
		}
		for _, t := range sorted(svc.def.Consumes) {
			g := &group{svc: svc, topic: s.topics[t], def: svc.def.Consumes[t]}
			g.op = &operation{name: t, steps: s.compile(g.def.Steps)}
			for p := range g.topic.partitions {
				g.lanes = append(g.lanes, &lane{number: p})
			}
			g.topic.groups = append(g.topic.groups, g)
		}
	}
	return nil
}

// compile looks up whom steps speak to, and draws how long they take in this system.
func (s *Simulation) compile(defs []Step) []*step {
	var out []*step
	for i := range defs {
		d := defs[i]
		if d.Call != "" && s.absent[d.Call] {
			continue
		}
		st := &step{Step: d, work: s.vary(float64(d.Work)), sigma: or(d.Sigma, defaultSigma)}
		switch {
		case d.Call != "":
			if st.svc = s.services[d.Call]; st.svc != nil {
				st.op = st.svc.ops[d.Op]
			}
			st.ext = s.externals[d.Call]
			if d.Breaker {
				st.breaker = map[*instance]*breaker{}
			}
		case d.DB != "":
			st.db = s.databases[d.DB]
		case d.Cache != "":
			st.db = s.databases[d.Cache]
		case d.Publish != "":
			st.topic = s.topics[d.Publish]
		}
		st.miss, st.fallback = s.compile(d.Miss), s.compile(d.Fallback)
		for _, b := range d.Parallel {
			st.branches = append(st.branches, s.compile(b))
		}
		out = append(out, st)
	}
	return out
}

// grown is a capacity at this rate of traffic.
func (s *Simulation) grown(n int) int { return int(math.Ceil(float64(n) * s.growth)) }

// vary draws how long something takes in this system: within some 30 % of what the file says.
func (s *Simulation) vary(d float64) float64 { return d * math.Exp(0.12*s.shape.NormFloat64()) }

func isCache(system string) bool { return system == "redis" || system == "memcached" }

func or(v, otherwise float64) float64 {
	if v == 0 {
		return otherwise
	}
	return v
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
