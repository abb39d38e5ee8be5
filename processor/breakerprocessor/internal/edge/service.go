// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"math"
	"slices"
	"strings"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

// serviceSlots is how many services are remembered; a power of two. Two that share a slot forget each other,
// which costs an allocation a batch and a little evidence, and nothing else.
const serviceSlots = 1 << 13

const never = math.MinInt64

// Service is one that emits spans.
type Service struct {
	Key  uint64
	Name string
	// clientAt is when a caller's span last told of a call to it.
	clientAt int64
	since    int64 // when it was first seen
}

// Service finds the service of a resource, by the resource's key.
func (t *Table) Service(key uint64, r *call.Resource) *Service {
	slot := &t.services[key%serviceSlots]
	if *slot == nil || (*slot).Key != key {
		*slot = &Service{Key: key, Name: strings.Clone(r.Node()), clientAt: never, since: t.head}
	}
	return *slot
}

// onlyWitness says that nobody but the service itself tells of the calls to it: not for as long as an idle edge
// is kept, and for a whole window since it was first seen, in which its callers' spans would have come.
func (t *Table) onlyWitness(s *Service) bool {
	return t.head-s.since >= t.span && (s.clientAt == never || t.head-s.clientAt > t.set.Idle)
}

// touch notes that a caller's span told of a call to the service.
func (t *Table) touch(key uint64) {
	if s := t.services[key%serviceSlots]; s != nil && s.Key == key {
		s.clientAt = t.head
	}
}

// matched says that the call on edge e was answered by service s. address is the key that the caller's edge
// has by the address it called, 0 when it called by name. It returns the edge that such calls are counted on
// from now on: what this caller means by an address is the service behind it, unless there are several.
func (t *Table) matched(e *Edge, address uint64, s *Service) *Edge {
	by := t.edges[address]
	if address == 0 || by == nil {
		return e
	}
	if by.key != address { // an alias already
		if by.callee != s.Key {
			by.aliases = slices.DeleteFunc(by.aliases, func(k uint64) bool { return k == address })
			delete(t.edges, address)
			t.aliases--
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
	if t.aliases >= t.set.MaxEdges {
		t.AliasesFull++
		return e
	}
	into := t.rename(by, s)
	t.edges[address] = into
	into.aliases = append(into.aliases, address)
	t.aliases++
	if e == by {
		return into
	}
	return e
}

// rename makes the edge to an address the edge to the service behind it, or adds it to the one there is.
func (t *Table) rename(e *Edge, s *Service) *Edge {
	key := mix(e.caller, s.Key)
	into := t.edges[key]
	if into == nil {
		delete(t.edges, e.key)
		t.edges[key] = e
		e.key, e.callee, e.Callee, e.Kind, e.name = key, s.Key, s.Name, call.NodeService, ""
		return e
	}
	into.outcomes.Merge(&e.outcomes)
	into.lastSeen = max(into.lastSeen, e.lastSeen)
	if into.Breaker.State() == circuit.Closed && e.Breaker.State() != circuit.Closed {
		into.Breaker, into.Past = e.Breaker, e.Past
	}
	if e.active {
		e.active = false
		t.active = slices.DeleteFunc(t.active, func(a *Edge) bool { return a == e })
		t.activate(into)
	}
	t.remove(e)
	return into
}
