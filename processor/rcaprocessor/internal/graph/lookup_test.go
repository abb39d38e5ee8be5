// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/firebreak-otel/firebreak/internal/call"
)

// LookupOp finds what Op made, beyond the limit what stands for all others, and makes nothing.
func TestLookupOp(t *testing.T) {
	g := New(Limits{Nodes: 10, Ops: 3, AllOps: 20, Instances: 10, AllInstances: 10, Edges: 10})
	n := g.Node(7, call.NodeService, 1, func() string { return "orders" })
	assert.Zero(t, g.LookupOp(n, call.RoleServer, 0, 1))
	for k := range uint64(6) {
		op := g.Op(n, call.RoleServer, 0, k, 1, func() string { return strconv.FormatUint(k, 10) })
		assert.NotZero(t, op)
		assert.Equal(t, op, g.LookupOp(n, call.RoleServer, 0, k))
	}
	_, ops, _ := g.Size()
	assert.Equal(t, 4, ops)
	assert.Zero(t, g.LookupOp(n, call.RoleClient, 0, 1))
	assert.Equal(t, g.LookupOp(n, call.RoleServer, 0, 5), g.LookupOp(n, call.RoleServer, 0, 99))
	assert.Equal(t, ops, func() int { _, ops, _ := g.Size(); return ops }())
}
