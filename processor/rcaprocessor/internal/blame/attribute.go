// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package blame

import (
	"slices"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

// A component takes over those who stood in line for it when its own record strays at least so far; those who failed
// without asking it when it strays as far as a root's must, for that may have been their own fault.
const waitsFor, failsFor = 0.3, RootStrength

// attribute prepares what blamed needs to know of all rows together.
func (r *ranking) attribute() {
	r.refused = map[graph.NodeID][]graph.NodeID{}
	unknown := map[graph.NodeID][]graph.NodeID{} // names that a caller does not find
	seekers := map[graph.NodeID][]graph.NodeID{} // and the other way round
	for row := range r.now.Rows {
		switch row.Reason {
		case Auth:
			if row.Waits != 0 {
				insert(r.refused, row.Waits, row.Node)
			}
		case DNS:
			insert(unknown, row.Path.Before(row.Node), row.Node)
			insert(seekers, row.Node, row.Path.Before(row.Node))
		default:
		}
	}
	r.blind = map[graph.NodeID]bool{}
	for caller, names := range unknown {
		r.blind[caller] = caller != 0 && len(names) > 1 && !slices.ContainsFunc(names, func(n graph.NodeID) bool { return len(seekers[n]) > 1 })
	}
	r.passOn()
}

func insert(m map[graph.NodeID][]graph.NodeID, k, v graph.NodeID) {
	if !slices.Contains(m[k], v) {
		m[k] = append(m[k], v)
	}
}

// passOn finds the nodes most of whose trouble, and of the trouble that passes through them, is another's.
func (r *ranking) passOn() {
	ends := map[graph.NodeID]map[graph.NodeID]int64{}
	for row, c := range r.now.Rows {
		end, _ := r.blamed(row)
		for i, n := range row.Path {
			if n == 0 || slices.Contains(row.Path[:i], n) {
				continue
			}
			if ends[n] == nil {
				ends[n] = map[graph.NodeID]int64{}
			}
			ends[n][end] += c.Weight
		}
	}
	r.passed = map[graph.NodeID]graph.NodeID{}
	for n, weights := range ends {
		all := int64(0)
		for _, x := range weights {
			all += x
		}
		for end, x := range weights {
			if end != n && 2*x > all {
				r.passed[n] = end
			}
		}
	}
}

// blamed returns whom a row counts for: its node, or what the node stood in line for when that strayed itself, and
// so on down the line. Who refuses one caller has cause to; who refuses all is at fault. Who finds no name at all
// has no resolver.
func (r *ranking) blamed(row Row) (n graph.NodeID, waiting bool) {
	if caller := row.Path.Before(row.Node); row.Reason == DNS && r.blind[caller] {
		return caller, false
	}
	switch {
	case row.Waits == 0:
		return row.Node, false
	case row.Reason == Auth:
		if len(r.refused[row.Waits]) > 1 {
			return row.Waits, true
		}
		return row.Node, false
	case row.Reason == ClientRejected, row.Reason == FanOut:
		return row.Node, false
	}
	n = row.Waits
	for range MaxPath {
		next, ok := r.passed[n]
		if !ok || next == row.Node {
			break
		}
		n = next
	}
	least := waitsFor
	if row.Reason == Errors {
		least = failsFor
	}
	if r.record(n).Strength() < least {
		return row.Node, false
	}
	return n, true
}
