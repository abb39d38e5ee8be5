// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package graph

import "github.com/firebreak-otel/firebreak/internal/call"

// alias is what is known of the service behind an address.
type alias struct {
	to   NodeID
	ayes uint16 // answers from to
	nays uint16 // answers from others
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
		a.ayes++
	case a.ayes == 0 || a.nays > a.ayes:
		*a = alias{to: service, ayes: 1}
	default:
		a.nays++
	}
	if a.ayes > aliasCap || a.nays > aliasCap {
		a.ayes, a.nays = a.ayes/2, a.nays/2
	}
}

// Resolve returns the service that a node named by its address is known to be, else the node itself.
func (g *Graph) Resolve(id NodeID) NodeID {
	n := &g.nodes[id]
	if n.Kind != call.NodeExternal && n.Kind != call.NodeService {
		return id
	}
	if a := n.alias; a.to != 0 && a.ayes >= aliasAnswers && int(a.nays)*aliasShare <= int(a.ayes) {
		return a.to
	}
	return id
}
