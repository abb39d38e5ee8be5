// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/window"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

// serviceSlots is how many services are remembered, in sets of serviceWays; powers of two. Of more than that in a set,
// the one that was heard of longest ago is forgotten, which costs a little evidence, and nothing else.
const (
	serviceSlots = 1 << 13
	serviceWays  = 8
)

// instanceSlots is how many instances are, one by one: one that is forgotten is known again by the next span.
const instanceSlots = 1 << 12

const never = math.MinInt64 / 2

// Service is one that emits spans.
type Service struct {
	Key  uint64
	Name string
	// clientAt is when a caller's span last told of a call to it.
	clientAt int64
	since    int64 // when it was first seen
	heardAt  int64 // when it was last asked for
	handle   uint32
	servedAt int64 // when it last told of a call that it answered
	received window.Ring[count, *count]
	usual    usualCount
}

// Instance is one replica of a service, or an address.
type Instance struct {
	Key  uint64
	Name string
}

// count is a number of calls.
type count uint32

// Add adds other to c.
func (c *count) Add(other *count) { *c = count(window.Plus(uint32(*c), uint32(*other))) }

// Service finds the service of a resource, by the resource's key.
func (t *Table) Service(key uint64, r *call.Resource) *Service {
	s := t.service(key)
	if s == nil {
		s = &Service{Key: key, Name: strings.Clone(r.Node()), clientAt: never, servedAt: never, since: t.head}
		// The place of the one that was heard of longest ago, of those that may be here.
		first := firstSlot(key)
		slot := first
		for i := first; i < first+serviceWays; i++ {
			if t.services[i] == nil {
				slot = i
				break
			}
			if t.services[i].heardAt < t.services[slot].heardAt {
				slot = i
			}
		}
		s.handle = uint32(slot) + 1
		t.services[slot] = s
	}
	s.heardAt = t.head
	return s
}

// service finds a service by its key, nil: not known.
func (t *Table) service(key uint64) *Service {
	first := firstSlot(key)
	for _, s := range t.services[first : first+serviceWays] {
		if s != nil && s.Key == key {
			return s
		}
	}
	return nil
}

func firstSlot(key uint64) int { return int(key % (serviceSlots / serviceWays) * serviceWays) }

// Handle is a small number for the service, from 1. Another may have had it before.
func (s *Service) Handle() uint32 { return s.handle }

// ServiceOf is the handle of the service that an edge leads to, 0 when it emits no spans.
func (t *Table) ServiceOf(e *Edge) uint32 {
	if s := t.service(e.Callee.Key); s != nil && e.Callee.Kind == call.NodeService {
		return s.Handle()
	}
	return 0
}

// ServiceName is the name of the service that has the handle now.
func (t *Table) ServiceName(handle uint32) string {
	if handle == 0 || handle > serviceSlots {
		return ""
	}
	if s := t.services[handle-1]; s != nil {
		return s.Name
	}
	return ""
}

// Instance finds the instance of a service that a resource is: by its name, else by its host's.
func (t *Table) Instance(s *Service, r *call.Resource) *Instance {
	name := r.Instance
	if name == "" {
		name = r.Host
	}
	key := mix(s.Key, xxhash.Sum64String(name))
	slot := &t.instances[key%instanceSlots]
	if *slot == nil || (*slot).Key != key {
		*slot = &Instance{Key: key, Name: strings.Clone(name)}
	}
	return *slot
}

func (t *Table) instanceAt(p *call.Peer) *Instance {
	key := (xxhash.Sum64String(p.Instance) ^ uint64(uint32(p.InstancePort))) * 0x9e3779b97f4a7c15
	slot := &t.instances[key%instanceSlots]
	if *slot == nil || (*slot).Key != key {
		name := strings.Clone(p.Instance)
		if p.InstancePort != 0 {
			if strings.IndexByte(name, ':') >= 0 { // IPv6
				name = "[" + name + "]"
			}
			name += ":" + strconv.Itoa(int(p.InstancePort))
		}
		*slot = &Instance{Key: key, Name: name}
	}
	return *slot
}

// receive notes that the service answered a call.
func (s *Service) receive(t *Table, at int64) {
	if s.servedAt == never {
		s.received = window.NewRing[count](t.set.Buckets+1, t.set.Bucket)
	}
	s.servedAt = t.head
	if c := s.received.At(at); c != nil {
		*c++
	}
}

// speaks says that the node sends spans of the calls that it answers.
func (t *Table) speaks(key uint64) bool {
	s := t.service(key)
	return s != nil && s.servedAt != never && t.head-s.servedAt <= t.set.Idle
}

func (s *Service) move(d int64) {
	s.since += d
	s.heardAt += d
	for _, at := range []*int64{&s.clientAt, &s.servedAt} {
		if *at != never {
			*at += d
		}
	}
	s.received.Reset()
	s.usual.folded += d
}

// onlyWitness says that nobody but the service itself tells of the calls to it: not for as long as an idle edge
// is kept, and for a whole window since it was first seen, in which its callers' spans would have come.
func (t *Table) onlyWitness(s *Service) bool {
	return t.head-s.since >= t.span && (s.clientAt == never || t.head-s.clientAt > t.set.Idle)
}

// touch notes that a caller's span told of a call to the service.
func (t *Table) touch(key uint64) {
	if s := t.service(key); s != nil {
		s.clientAt = t.head
	}
}

// matched says that the call on edge e was answered by service s. address is the key that the caller's edge
// has by the address it called, 0 when it called by name. It returns the edge that such calls are counted on
// from now on: what this caller means by an address is the service behind it, unless there are several.
func (t *Table) matched(e *Edge, address uint64, s *Service) *Edge {
	by := t.edges[address]
	if address == 0 || by == nil || by.operation != "" {
		return e
	}
	if by.key != address { // an alias already
		if by.Callee.Key != s.Key {
			t.unlearn(by, address)
			if len(t.mixed) >= t.set.MaxEdges {
				clear(t.mixed)
			}
			t.mixed[address] = struct{}{}
		}
		return e
	}
	if _, several := t.mixed[address]; several {
		return e
	}
	if t.aliasCount >= t.set.MaxEdges {
		t.AliasesFull++
		return e
	}
	handle := by.handle
	into := t.rename(by, s)
	if into == by {
		handle = 0
	} else {
		t.handles.pass(handle, into)
	}
	t.edges[address] = into
	t.aliases[into.key] = append(t.aliases[into.key], alias{address, handle})
	t.aliasCount++
	if e == by {
		return into
	}
	return e
}

// alias is a further name of an edge, and the handle of the edge that it was the name of, if that was another: its
// calls are now the edge's, and may still be corrected.
type alias struct {
	key    uint64
	handle uint32
}

// unlearn takes an address from an edge.
func (t *Table) unlearn(e *Edge, address uint64) {
	list := t.aliases[e.key]
	i := slices.IndexFunc(list, func(a alias) bool { return a.key == address })
	t.handles.give(list[i].handle)
	t.aliases[e.key] = slices.Delete(list, i, i+1)
	delete(t.edges, address)
	t.aliasCount--
}

// rename makes the edge to an address the edge to the service behind it, or adds it to the one there is.
func (t *Table) rename(e *Edge, s *Service) *Edge {
	key := mix(e.Caller.Key, s.Key)
	into := t.edges[key]
	if into == nil {
		delete(t.edges, e.key)
		t.edges[key] = e
		t.leave(e.Callee)
		e.key, e.Callee = key, t.node(s.Key, s.Name, call.NodeService)
		e.Callee.refs++
		if e.Hot != nil {
			e.Hot.name = ""
		}
		e.Breaker.Configure(t.configFor(e))
		t.force(e)
		return e
	}
	into.pulses.Merge(&e.pulses)
	into.usual.add(&e.usual)
	into.lastSeen = max(into.lastSeen, e.lastSeen)
	if e.Hot != nil {
		h := t.heat(into)
		h.merge(e.Hot)
		switch {
		case e.Breaker.State() == circuit.Closed || !e.decides():
		case into.Breaker.State() == circuit.Closed:
			cfg := into.Breaker.Config()
			into.Breaker, h.Last, h.Cause = e.Breaker, e.Hot.Last, e.Hot.Cause
			into.Breaker.Configure(cfg)
		default:
			t.open--
		}
	}
	t.detach(e)
	return into
}
