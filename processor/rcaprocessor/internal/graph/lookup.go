// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package graph

import "github.com/firebreak-otel/firebreak/internal/call"

// LookupOp returns the handle that Op would, 0 where there is none; it makes and touches nothing.
func (g *Graph) LookupOp(node NodeID, role call.Role, peer NodeID, opKey uint64) OpID {
	key := mix(mix(mix(mix(seedOp, uint64(node)), uint64(role)), uint64(peer)), opKey)
	if i, ok := g.byKey[key]; ok {
		return OpID(i)
	}
	return OpID(g.byKey[otherKey(node, role, peer)])
}
