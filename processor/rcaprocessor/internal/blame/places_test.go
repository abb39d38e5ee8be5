// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package blame

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

// Services 1 to 4 have a replica on each of four hosts in two zones; 5 and 6 one each, on w.
var hosts = []Place{{Host: "w", Zone: "p"}, {Host: "x", Zone: "p"}, {Host: "y", Zone: "q"}, {Host: "z", Zone: "q"}}

const w, x, y, z = 1, 2, 3, 4

func onHosts() (all []replica) {
	for n := range graph.NodeID(4) {
		for _, h := range hosts {
			all = append(all, replica{n + 1, h})
		}
	}
	return append(all, replica{5, hosts[0]}, replica{6, hosts[0]})
}

// there is a row that began at a service's replica on a host, 0 for one that runs nobody knows where.
func there(n graph.NodeID, host int) Row {
	r := Row{Entry: 1, Node: n, Path: Path{n}}
	switch {
	case host == 0:
	case n > 4:
		r.Instance = graph.InstanceID(12 + n)
	default:
		r.Instance = graph.InstanceID(4*(int(n)-1) + host)
	}
	return r
}

func TestCommonPlace(t *testing.T) {
	type rows = map[Row]Count
	type nodes = []graph.NodeID
	none := Place{}
	host, zone := Place{Host: "w"}, Place{Zone: "p"}
	for _, tt := range []struct {
		name   string
		rows   rows
		want   Place
		nodes  nodes
		units  int64
		before rows
	}{
		{"two services on one host", rows{there(1, w): many(50), there(2, w): many(50)}, host, nodes{1, 2}, 100, nil},
		{"three", rows{there(1, w): many(50), there(2, w): many(50), there(3, w): many(50)}, host, nodes{1, 2, 3}, 150, nil},
		{"one service is a bad replica", rows{there(1, w): many(50)}, none, nil, 0, nil},
		{"seven in ten of the trouble", rows{there(1, w): many(35), there(2, w): many(35), there(3, y): many(30)}, host, nodes{1, 2}, 70, nil},
		{"less", rows{there(1, w): many(34), there(2, w): many(35), there(3, y): many(31)}, none, nil, 0, nil},
		{"so many units", rows{there(1, w): many(50), there(2, w): many(10)}, host, nodes{1, 2}, 60, nil},
		{"fewer", rows{there(1, w): many(50), there(2, w): many(9)}, none, nil, 0, nil},
		{"so much of the place's trouble", rows{there(1, w): many(950), there(2, w): many(50)}, host, nodes{1, 2}, 1000, nil},
		{"less of it", rows{there(1, w): many(960), there(2, w): many(40)}, none, nil, 0, nil},
		{"most of each one's trouble", rows{there(1, w): many(150), there(2, w): many(60), there(2, y): many(40)}, host, nodes{1, 2}, 210, nil},
		{"not most of it", rows{there(1, w): many(150), there(2, w): many(59), there(2, y): many(41)}, none, nil, 0, nil},
		{"there is nowhere else where they run", rows{there(5, w): many(50), there(6, w): many(50)}, none, nil, 0, nil},
		{"half of them run nowhere else", rows{there(5, w): many(50), there(1, w): many(50)}, host, nodes{1, 5}, 100, nil},
		{"most of them", rows{there(5, w): many(60), there(6, w): many(60), there(1, w): many(60)}, none, nil, 0, nil},
		{"half of it began nobody knows where", rows{there(1, w): many(50), there(2, w): many(50), there(3, 0): many(100)}, host, nodes{1, 2}, 100, nil},
		{"more than half", rows{there(1, w): many(50), there(2, w): many(50), there(3, 0): many(101)}, none, nil, 0, nil},
		{
			"what is usual says nothing", rows{there(1, w): many(50), there(2, w): many(50), there(3, y): many(50)}, none, nil, 0,
			rows{there(1, w): many(45), there(2, w): many(45)},
		},
		{
			"as little as what is usual elsewhere", rows{there(1, w): many(50), there(2, w): many(50), there(3, y): many(90)}, host, nodes{1, 2}, 100,
			rows{there(3, y): many(80)},
		},
		{"a zone", rows{there(1, w): many(25), there(1, x): many(25), there(2, w): many(25), there(2, x): many(25)}, zone, nodes{1, 2}, 100, nil},
		{"both zones", rows{there(1, w): many(25), there(1, y): many(25), there(2, w): many(25), there(2, y): many(25)}, none, nil, 0, nil},
		{"a host before its zone", rows{there(1, w): many(45), there(1, x): many(5), there(2, w): many(45), there(2, x): many(5)}, host, nodes{1, 2}, 90, nil},
		{
			"who has little of it there has it elsewhere", rows{there(1, w): many(50), there(2, w): many(50), there(3, w): many(9)},
			host, nodes{1, 2}, 100, nil,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			world := strayed(1, 2, 3, 4, 5, 6)
			world.replicas = onHosts()
			before := Window{}
			if tt.before != nil {
				before = at(1, tt.before)
			}
			got := Rank(at(1, tt.rows), before, nil, world)
			found := none
			for _, c := range got.Candidates {
				if c.Node != 0 {
					continue
				}
				assert.Equal(t, none, found, "one place")
				found = c.Place
				assert.Equal(t, tt.nodes, c.Nodes)
				assert.Equal(t, tt.units, c.Units)
				assert.Zero(t, c.Waiting)
				assert.InDelta(t, 1, c.Support.Strength(), 1e-9, "the record of one of them")
			}
			assert.Equal(t, tt.want, found)
		})
	}
}

// Who stood in line elsewhere is no evidence against the place; who asks in vain from there is.
func TestCommonPlaceOfCallers(t *testing.T) {
	world := strayed(4)
	world.replicas = onHosts()
	line := func(n graph.NodeID) Row {
		r := there(n, w)
		r.Waits, r.Reason = 4, Saturation
		return r
	}
	got := rank(world, map[Row]Count{line(1): many(50), line(2): many(50)})
	assert.Equal(t, []graph.NodeID{4}, nodesOf(got.Candidates))

	got = rank(world, map[Row]Count{there(1, w): many(50), there(2, w): many(50), line(1): many(50)})
	assert.Equal(t, []graph.NodeID{0, 4}, nodesOf(got.Candidates))

	vain := func(n graph.NodeID) Row { // calls of node 3 that nobody answered
		r := there(n, w)
		r.Node, r.Reason, r.Path = 3, Unavailable, Path{n, 3}
		return r
	}
	got = rank(world, map[Row]Count{vain(1): many(50), vain(2): many(50)})
	assert.Equal(t, Place{Host: "w"}, got.Candidates[0].Place)
	assert.Equal(t, []graph.NodeID{1, 2}, got.Candidates[0].Nodes)
}

func TestSharedBroker(t *testing.T) {
	type rows = map[Row]Count
	broker := Place{Broker: "kafka"}
	for _, tt := range []struct {
		name   string
		rows   rows
		want   Place
		nodes  []graph.NodeID
		others int // candidates beside it
	}{
		{"two topics", rows{rowOf(7): many(50), rowOf(8): many(50)}, broker, []graph.NodeID{7, 8}, 0},
		{"one", rows{rowOf(7): many(50)}, Place{}, nil, 1},
		{"the other has enough of it", rows{rowOf(7): many(85), rowOf(8): many(15)}, broker, []graph.NodeID{7, 8}, 0},
		{"too little", rows{rowOf(7): many(86), rowOf(8): many(14)}, Place{}, nil, 2},
		{"of two brokers one each", rows{rowOf(7): many(50), rowOf(9): many(50)}, Place{}, nil, 2},
		{"two, and one of another", rows{rowOf(7): many(50), rowOf(8): many(50), rowOf(9): many(50)}, broker, []graph.NodeID{7, 8}, 1},
		{"services have none", rows{rowOf(1): many(50), rowOf(2): many(50)}, Place{}, nil, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := strayed(7, 8)
			w.brokers = map[graph.NodeID]string{7: "kafka", 8: "kafka", 9: "rabbitmq"}
			found, others := Place{}, 0
			for _, c := range rank(w, tt.rows).Candidates {
				if c.Node != 0 {
					others++
					continue
				}
				found = c.Place
				assert.Equal(t, tt.nodes, c.Nodes)
				assert.InDelta(t, 1, c.Support.Strength(), 1e-9)
			}
			assert.Equal(t, tt.want, found)
			assert.Equal(t, tt.others, others)
		})
	}
}

func TestPlaceName(t *testing.T) {
	for want, p := range map[string]Place{"n1": {Host: "n1", Zone: "a"}, "zone/a": {Zone: "a"}, "kafka": {Broker: "kafka"}, "": {}} {
		assert.Equal(t, want, p.Name())
	}
}
