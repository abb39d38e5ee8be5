// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/firebreak-otel/firebreak/internal/call"
)

func TestAlias(t *testing.T) {
	type answers struct {
		from string
		n    int
	}
	tests := []struct {
		name string
		kind call.NodeKind
		seen []answers
		want string
	}{
		{"never answered", call.NodeExternal, nil, "address"},
		{"too few answers", call.NodeExternal, []answers{{"a", 2}}, "address"},
		{"learned", call.NodeExternal, []answers{{"a", 3}}, "a"},
		{"a service by another name", call.NodeService, []answers{{"a", 3}}, "a"},
		{"a database is what it says", call.NodeDatabase, []answers{{"a", 100}}, "address"},
		{"a topic too", call.NodeMessaging, []answers{{"a", 100}}, "address"},
		{"a proxy: two answer by turns", call.NodeExternal, []answers{{"a", 50}, {"b", 50}}, "address"},
		{"one stray in 20", call.NodeExternal, []answers{{"a", 20}, {"b", 1}}, "a"},
		{"two strays in 20", call.NodeExternal, []answers{{"a", 20}, {"b", 2}}, "address"},
		{"moved", call.NodeExternal, []answers{{"a", 20}, {"b", 25}}, "b"},
		{"moved after a long time", call.NodeExternal, []answers{{"a", 100_000}, {"b", 5_000}}, "b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := New(roomy)
			peer := node(g, tt.kind, "address", 1)
			for _, s := range tt.seen {
				for range s.n {
					g.Answered(peer, service(g, s.from, 1))
				}
			}
			assert.Equal(t, tt.want, g.NodeAt(g.Resolve(peer)).Name)
		})
	}
}

func TestAliasOfNothing(t *testing.T) {
	g := New(roomy)
	a := service(g, "a", 1)
	for range 10 {
		g.Answered(0, a)
		g.Answered(a, 0)
		g.Answered(a, a)
	}
	assert.Equal(t, NodeID(0), g.Resolve(0))
	assert.Equal(t, a, g.Resolve(a))
}
