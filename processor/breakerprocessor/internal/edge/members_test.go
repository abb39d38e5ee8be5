// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/internal/call"
)

func byOperation() Settings {
	s := testSettings()
	s.Rules = []Rule{{Callee: "catalog", ByOperation: true}}
	return s
}

func (w *world) ask(verb, target string) (*Edge, Result) {
	c := w.client(named("catalog"), call.OK)
	c.Operation = call.Operation{Verb: verb, Target: target}
	return w.record("orders", c)
}

func TestEdgeByOperation(t *testing.T) {
	w := warm(byOperation())
	get, _ := w.ask("GET", "/items")
	put, _ := w.ask("PUT", "/items")
	again, _ := w.ask("GET", "/items")
	assert.Equal(t, "orders->catalog GET /items", get.Name())
	assert.Equal(t, "GET /items", get.Operation())
	assert.Equal(t, "orders->catalog PUT /items", put.Name())
	assert.Same(t, get, again)
	assert.Same(t, get.Callee, put.Callee)
	other, _ := w.record("orders", w.client(shopDB, call.OK))
	assert.Empty(t, other.Operation(), "the rule is not about it")
	assert.Equal(t, "orders->postgresql/shop", other.Name())
}

func TestMaxOperations(t *testing.T) {
	w := warm(byOperation())
	for i := range 10 {
		_, r := w.ask("GET", fmt.Sprint("/", i))
		require.Equal(t, Counted, r)
	}
	assert.Equal(t, []string{"orders->catalog GET /0", "orders->catalog GET /1", "orders->catalog GET /2", "orders->catalog *"}, w.names())
	assert.EqualValues(t, 7, w.OperationsFull)
	assert.EqualValues(t, 7, w.total(w.order[3]).Calls)
	e, _ := w.ask("GET", "/1")
	assert.Equal(t, "orders->catalog GET /1", e.Name(), "who has an edge keeps it")
	c := w.client(named("catalog"), call.OK)
	c.Operation.Verb = "new"
	e, _ = w.record("cart", c)
	assert.Equal(t, "cart->catalog new", e.Name(), "the bound is each pair's own")
	w.at(w.now + 700*second)
	assert.Empty(t, w.names())
	assert.Empty(t, w.operations)
	e, _ = w.ask("GET", "/9")
	assert.Equal(t, "orders->catalog GET /9", e.Name(), "there is room again")
}

func TestFullTableOfOperations(t *testing.T) {
	s := byOperation()
	s.MaxEdges = 2
	w := warm(s)
	for i := range 3 {
		e, r := w.ask("GET", fmt.Sprint("/", i))
		assert.Equal(t, i < 2, r == Counted)
		assert.Equal(t, i < 2, e != nil)
	}
	assert.Equal(t, 2, w.operations[w.order[0].pair()], "what was not made is not counted")
}

func (e *Edge) pair() uint64 { return mix(e.Caller.Key, e.Callee.Key) }

func TestHandles(t *testing.T) {
	w := warm(testSettings())
	at := func(i int) *Edge {
		e, _ := w.record("orders", w.client(address(fmt.Sprint("h", i), 80), call.OK))
		return e
	}
	for i := range 5 {
		e := at(i)
		assert.EqualValues(t, i+1, e.Handle())
		assert.Same(t, e, w.Edge(e.Handle()))
	}
	assert.Nil(t, w.Edge(0))
	assert.Nil(t, w.Edge(6))
	w.at(w.now + 500*second)
	at(3)
	w.at(w.now + 200*second)
	assert.Nil(t, w.Edge(1))
	assert.Same(t, w.order[0], w.Edge(4))
	seen := map[uint32]bool{}
	for i := 10; i < 15; i++ {
		e := at(i)
		assert.Same(t, e, w.Edge(e.Handle()))
		seen[e.Handle()] = true
	}
	assert.Len(t, seen, 5)
	assert.Len(t, w.handles.edges, 6, "those that were given back are used again")
}

// Who kept the handle of an edge that turned out to be another corrects that one, and not a third.
func TestHandleOfAMergedEdge(t *testing.T) {
	w := warm(testSettings())
	w.record("orders", w.client(named("catalog"), call.OK))
	c := w.client(address("10.0.0.7", 8080), call.Fail)
	e, _ := w.record("orders", c)
	kept := e.Handle()
	w.record("catalog", w.server(c))
	require.Equal(t, []string{"orders->catalog"}, w.names())
	fresh, _ := w.record("orders", w.client(shopDB, call.OK))
	assert.NotEqual(t, kept, fresh.Handle())
	into := w.Edge(kept)
	require.Equal(t, "orders->catalog", into.Name())
	w.settle(into, c, Charged, Deeper)
	assert.EqualValues(t, 1, w.total(into).Deeper)
	w.at(w.now + 700*second)
	assert.Nil(t, w.Edge(kept))
}

// Nodes live as long as an edge has them.
func TestNodes(t *testing.T) {
	w := warm(testSettings())
	a, _ := w.record("orders", w.client(shopDB, call.OK))
	b, _ := w.record("cart", w.client(shopDB, call.OK))
	assert.Same(t, a.Callee, b.Callee)
	assert.Equal(t, call.NodeDatabase, a.Callee.Kind)
	assert.Equal(t, call.NodeService, a.Caller.Kind)
	assert.EqualValues(t, 2, a.Callee.refs)
	w.at(w.now + 500*second)
	w.record("cart", w.client(shopDB, call.OK))
	w.at(w.now + 200*second)
	assert.Equal(t, []string{"cart->postgresql/shop"}, w.names())
	assert.EqualValues(t, 1, b.Callee.refs)
	assert.Len(t, w.nodes, 2)
}
