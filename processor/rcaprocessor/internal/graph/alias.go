// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package graph

import "github.com/firebreak-otel/firebreak/internal/call"

// alias is what is known of the service behind an address.
type alias struct {
	to       NodeID
	for_     uint16 // answers from to
	against  uint16 // answers from others
	calls    uint16
	answered uint16
}

const (
	// aliasAnswers is how many answers it takes before an address is taken for a service.
	aliasAnswers = 3
	// aliasShare: an address behind which several services answer (a proxy) is no alias: at least 19 in 20 must agree.
	aliasShare = 20
	aliasCap   = 1 << 12 // beyond it counts are halved, so that a moved address is learned anew
)

// Answered notes that a call to the node named by address peer was answered by service.
func (g *Graph) Answered(peer, service NodeID) {
	if peer == 0 || service == 0 || peer == service {
		return
	}
	a := &g.nodes[peer].alias
	switch {
	case a.to == service:
		a.for_++
	case a.for_ == 0 || a.against > a.for_:
		*a = alias{to: service, for_: 1}
	default:
		a.against++
	}
	if a.for_ > aliasCap || a.against > aliasCap {
		a.for_, a.against = a.for_/2, a.against/2
	}
}

// Resolve returns the service that a node named by its address is known to be, else the node itself.
func (g *Graph) Resolve(id NodeID) NodeID {
	n := &g.nodes[id]
	if n.Kind != call.NodeExternal && n.Kind != call.NodeService {
		return id
	}
	if a := n.alias; a.to != 0 && a.for_ >= aliasAnswers && int(a.against)*aliasShare <= int(a.for_) {
		return a.to
	}
	return id
}
