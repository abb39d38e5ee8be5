// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package cause

import (
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/firebreak-otel/firebreak/internal/call"
)

const (
	ms  = int64(1e6)
	srv = call.NodeService
	db  = call.NodeDatabase
	mq  = call.NodeMessaging
	ext = call.NodeExternal
)

// slow is a service all of whose runs take long by themselves.
func slow(change func(*Signs)) Signs {
	s := Signs{Node: srv, Latency: 1, OwnNow: 400 * ms, OwnNormal: 2 * ms, OwnZ: 40, OwnSlow: 1, OwnSpread: 0.4,
		Ops: 3, OpsOff: 1, Burst: 1, EdgesIn: 2, EdgesOut: 2, Rate: 1, Entry: 1, Fan: 1, PerRun: 1, Attempts: 1, InFlight: 1}
	change(&s)
	return s
}

// far is a service that is as fast as ever, and calls to which take long.
func far(change func(*Signs)) Signs {
	s := Signs{Node: srv, Latency: 1, OwnNow: 2 * ms, OwnNormal: 2 * ms, GapNow: 300 * ms, GapNormal: ms, GapZ: 60, GapSlow: 1,
		GapSpread: 1.5, Ops: 1, EdgesIn: 2, EdgesInOff: 2, EdgesOut: 2, Entry: 1, Attempts: 1, InFlight: 2}
	change(&s)
	return s
}

// cases has at least one case for each row of the codebook, by the row's place.
var cases = []struct {
	name string
	row  int
	want Kind
	in   Signs
}{
	{"the name is not found", 0, DNS, Signs{Node: ext, DNS: 0.9, Unavailable: 0.1}},
	{"the certificate is refused", 1, TLS, Signs{Node: srv, TLS: 1, OneVersion: true}},
	{"credentials are refused to one version", 2, Auth, Signs{Node: srv, Auth: 1, NewVersion: true}},
	{"a quota is used up", 3, Throttled, Signs{Node: ext, Throttled: 0.8, Latency: 0.2}},
	{"what was sent is refused", 4, ClientRejected, Signs{Node: srv, ClientRejected: 1}},
	{"one zone is cut off", 5, Zone, Signs{Node: db, Latency: 1, OneZone: true}},
	{"one host is slow", 6, BadHost, slow(func(s *Signs) { s.OneHost, s.OneInstance = true, true })},
	{"one partition's record fails again and again", 7, Poison, Signs{Node: srv, Errors: 1, FromTopic: 1, Failing: 0.4, Stuck: 0.9}},
	{"one partition of a busy topic is stuck", 7, Poison, Signs{Node: srv, FromTopic: 1, Errors: 1, Failing: 0.01, Stuck: 1}},
	{"failures of a consumer stay with one replica", 7, Poison, Signs{Node: srv, Errors: 1, FromTopic: 1, Failing: 0.4, OneInstance: true, Stuck: 0.75}},
	{"one replica is slow", 8, BadInstance, slow(func(s *Signs) { s.OneInstance = true })},
	{"one version fails", 9, BadVersion, Signs{Node: srv, Errors: 1, OneVersion: true}},
	{"all replicas are of a new version, and fail", 9, BadVersion, Signs{Node: srv, Errors: 1, NewVersion: true}},
	{"every statement waits as long as it can", 10, Unreachable, Signs{Node: db, Latency: 1, Failing: 1, OwnSlow: 1, OwnSpread: 0.1, OwnZ: 30}},
	{"some statements wait as long as they can", 28, DBSlow, Signs{Node: db, Latency: 1, Failing: 0.4, OwnSlow: 1, OwnSpread: 0.1, OwnZ: 30}},
	{"statements wait for long, of all lengths, in vain", 28, DBSlow, Signs{Node: db, Latency: 1, Failing: 1, OwnSlow: 1, OwnSpread: 1, OwnZ: 30}},
	{"nobody answers", 11, Unreachable, Signs{Node: db, Unavailable: 0.9, Latency: 0.1}},
	{"nobody answers, of a new version", 11, Unreachable, Signs{Node: srv, Unavailable: 1, NewVersion: true}},
	{"a producer publishes more", 12, ProducerFlood, Signs{Node: srv, Lag: 1, Publish: 10, Entry: 1}},
	{"one partition takes most", 13, HotPartition, Signs{Node: mq, Lag: 1, Partition: 0.9, PartitionNormal: 0.17}},
	{"users come more often than it can serve", 14, Overload, slow(func(s *Signs) { s.Entry, s.Rate = 4, 4 })},
	{"users come more often, a replica of a new version", 14, Overload, slow(func(s *Signs) { s.Node, s.Entry = db, 4 })},
	{"retries outlive their reason", 15, Metastable, far(func(s *Signs) { s.Recovered, s.Attempts = true, 3 })},
	{"an operation calls many times more", 16, BehaviourChange, slow(func(s *Signs) { s.Fan, s.OwnZ = 12, 1 })},
	{"a usual call is not made any more", 16, BehaviourChange, Signs{Node: srv, Vanished: 1}},
	{"a pool is empty", 17, ConnPool, slow(func(s *Signs) { s.Saturation, s.Latency, s.OwnSpread = 0.3, 0.7, 2 })},
	{"all runs take longer, and some get no further", 31, CodeSlow, slow(func(s *Signs) { s.Saturation, s.Latency, s.OwnSpread = 0.3, 0.7, 0.4 })},
	{"a guard turns requests away", 18, Overload, Signs{Node: srv, Shed: 0.9, Errors: 0.1}},
	{"a cache lets more through to the database", 19, Overload, Signs{Node: db, Latency: 1, PerRun: 6, Rate: 6, Entry: 1, OwnZ: 20}},
	{"it slows down little by little", 20, DriftLeak, slow(func(s *Signs) { s.Drift = true })},
	{"a consumer is slow", 21, ConsumerSlow, slow(func(s *Signs) { s.FromTopic = 1 })},
	{"a process stands still now and then", 22, Pause, slow(func(s *Signs) { s.OpsOff, s.OwnSlow, s.OwnSpread, s.Burst = 3, 0.25, 2, 3 })},
	{"a process gets little time", 23, CPUThrottle, slow(func(s *Signs) { s.OpsOff, s.GapZ, s.GapNow, s.InFlight = 3, 50, 450*ms, 0.2 })},
	{"a way takes longer for all alike", 24, Network, far(func(s *Signs) { s.GapSpread = 0.1 })},
	{"a way takes longer to replicas that have nothing to do", 24, Network, far(func(s *Signs) { s.InFlight = 0.01 })},
	{"one way of several takes longer", 24, Network, far(func(s *Signs) { s.EdgesInOff = 1 })},
	{"all ways take longer, its own too", 24, Network, far(func(s *Signs) { s.EdgesOutOff = 2 })},
	{"some statements get lost on the way", 25, Network, Signs{Node: db, Latency: 1, OwnZ: 30, OwnSlow: 0.4, OwnSpread: 3, Failing: 0.4}},
	{"requests stand in line before they are read", 26, AcceptQueue, far(func(*Signs) {})},
	{"deliveries take longer", 27, Broker, Signs{Node: mq, Latency: 1}},
	{"acknowledgements get slow for all producers", 27, Broker, Signs{Node: mq, SlowAcks: 1}},
	{"statements take longer", 28, DBSlow, Signs{Node: db, Latency: 1, OwnZ: 30, OwnSlow: 1, OwnSpread: 0.4}},
	{"some statements of a table take longer and end well", 28, DBSlow, Signs{Node: db, Latency: 1, OwnZ: 30, OwnSlow: 0.4, OwnSpread: 3}},
	{"a third party takes longer", 29, ExtSlow, Signs{Node: ext, Latency: 0.8, Errors: 0.2}},
	{"an operation fails", 30, CodeError, Signs{Node: srv, Errors: 1}},
	{"failing runs do not get to the database", 30, CodeError, Signs{Node: srv, Errors: 0.7, Saturation: 0.3, OwnZ: 1}},
	{"a third party fails", 30, CodeError, Signs{Node: ext, Errors: 0.9, Latency: 0.1}},
	{"an operation takes longer", 31, CodeSlow, slow(func(*Signs) {})},
	{"an operation takes longer, and requests stand in line for it", 31, CodeSlow, slow(func(s *Signs) { s.GapZ, s.GapNow, s.InFlight = 50, 900*ms, 20 })},
	{"some runs take longer, spread evenly", 31, CodeSlow, slow(func(s *Signs) { s.OpsOff, s.OwnSlow, s.OwnSpread, s.Burst = 3, 0.3, 2, 0.7 })},
	{"few calls vanish", -1, Unknown, Signs{Node: srv, Vanished: 0.1}},
	{"nothing is known", -1, Unknown, Signs{}},
}

func TestEachSignatureIsRecognised(t *testing.T) {
	for _, c := range cases {
		kind, why := Of(c.in)
		assert.Equal(t, c.want.String(), kind.String(), "%s: %s", c.name, why)
		assert.NotEmpty(t, why)
	}
}

func TestEachRowIsNeeded(t *testing.T) {
	all := codebook
	defer func() { codebook = all }()
	tried := map[int]bool{}
	for _, c := range cases {
		if c.row < 0 {
			continue
		}
		require.Equal(t, c.want, all[c.row].kind, c.name)
		tried[c.row] = true
		codebook = slices.Delete(slices.Clone(all), c.row, c.row+1)
		kind, _ := Of(c.in)
		assert.NotEqual(t, c.want.String(), kind.String(), "without its row, %q is recognised as well", c.name)
	}
	assert.Len(t, tried, len(all), "a row has no case")
}

func TestKindsHaveNames(t *testing.T) {
	names := map[string]bool{}
	for k := range numKinds {
		names[k.String()] = true
	}
	assert.Len(t, names, int(numKinds))
}

// fits says which kinds of node a cause may have, told independently of the codebook.
func fits(k Kind, n call.NodeKind) bool {
	switch k {
	case DBSlow:
		return n == db
	case ExtSlow:
		return n == ext
	case Broker, HotPartition:
		return n == mq
	case CodeSlow, CPUThrottle, Pause, AcceptQueue, ConnPool, ConsumerSlow, ProducerFlood, Poison, BadVersion, BadInstance, BadHost,
		BehaviourChange, Metastable, DriftLeak, ClientRejected:
		return n == srv
	case Overload:
		return n == srv || n == db
	case CodeError:
		return n == srv || n == db || n == ext
	case Network:
		return n == srv || n == db || n == mq
	case Unreachable, DNS, TLS, Auth, Throttled, Zone:
		return n != call.NodeUnknown
	case Unknown:
		return true
	}
	return false
}

func TestAnySignsGiveAFittingKind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Signs
		v := reflect.ValueOf(&s).Elem()
		for i := range v.NumField() {
			if f := v.Field(i); rapid.Bool().Draw(t, "known") {
				switch f.Kind() {
				case reflect.Float64:
					f.SetFloat(rapid.OneOf(rapid.Float64Range(0, 1), rapid.Float64()).Draw(t, v.Type().Field(i).Name))
				case reflect.Int64, reflect.Int:
					f.SetInt(rapid.Int64().Draw(t, v.Type().Field(i).Name))
				case reflect.Bool:
					f.SetBool(true)
				}
			}
		}
		s.Node = call.NodeKind(rapid.IntRange(0, 4).Draw(t, "node"))
		kind, why := Of(s)
		again, same := Of(s)
		if kind != again || why != same || why == "" || !fits(kind, s.Node) {
			t.Fatalf("%v of a %v: %s", kind, s.Node, why)
		}
	})
}
