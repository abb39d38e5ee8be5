// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"pgregory.net/rapid"
)

func TestPeerString(t *testing.T) {
	for want, p := range map[string]Peer{
		"":                  {},
		"orders":            {Kind: NodeService, Name: "orders", Address: "10.0.0.1", Port: 80},
		"shop/orders":       {Kind: NodeService, Namespace: "shop", Name: "orders"},
		"postgresql/shop":   {Kind: NodeDatabase, System: "postgresql", Name: "shop", Address: "pg"},
		"redis/cache":       {Kind: NodeDatabase, System: "redis", Name: "12", Address: "cache"},
		"redis":             {Kind: NodeDatabase, System: "redis"},
		"kafka/orders":      {Kind: NodeMessaging, System: "kafka", Name: "orders", Address: "b"},
		"kafka/7":           {Kind: NodeMessaging, System: "kafka", Name: "7"},
		"kafka/b":           {Kind: NodeMessaging, System: "kafka", Address: "b"},
		"kafka":             {Kind: NodeMessaging, System: "kafka"},
		"topic":             {Kind: NodeMessaging, Name: "topic"},
		"api.example":       {Kind: NodeExternal, Address: "api.example", Port: 443},
		"api2.example":      {Kind: NodeExternal, Address: "api2.example", Port: 80},
		"api3.example:8080": {Kind: NodeExternal, Address: "api3.example", Port: 8080, Instance: "10.0.0.1"},
		"[2001:db8::1]:90":  {Kind: NodeExternal, Address: "2001:db8::1", Port: 90},
		"2001:db8::1":       {Kind: NodeExternal, Address: "2001:db8::1"},
	} {
		require.Equal(t, want, p.String())
	}
	require.Equal(t, "GET /x", (&Operation{"GET", "/x"}).String())
	require.Equal(t, "GET", (&Operation{Verb: "GET"}).String())
	require.Equal(t, "/x", (&Operation{Target: "/x"}).String())
}

// TestKeys: keys are equal exactly for equal identity. Few letters make many near misses.
func TestKeys(t *testing.T) {
	word := rapid.StringMatching(`[a1/]{0,2}`)
	peer := rapid.Custom(func(t *rapid.T) Peer {
		return Peer{
			Kind: NodeKind(rapid.IntRange(0, 4).Draw(t, "kind")), Namespace: word.Draw(t, "namespace"), System: word.Draw(t, "system"), Name: word.Draw(t, "name"),
			Address: word.Draw(t, "address"), Port: rapid.SampledFrom([]int32{0, 80, 443, 81}).Draw(t, "port"),
			Instance: word.Draw(t, "instance"), InstancePort: rapid.Int32Range(0, 1).Draw(t, "instance port"),
		}
	})
	type identity struct {
		kind          NodeKind
		first, second string
		port          int32
	}
	of := func(p Peer) identity {
		id := identity{kind: p.Kind}
		id.first, id.second, id.port = p.identity()
		return id
	}
	rapid.Check(t, func(t *rapid.T) {
		p, q := peer.Draw(t, "p"), peer.Draw(t, "q")
		require.Equal(t, of(p) == of(q), p.Key() == q.Key())
		if of(p) == of(q) {
			require.Equal(t, p.String(), q.String())
		}
		p.Instance, p.InstancePort = q.Instance, q.InstancePort // no part of who it is
		require.Equal(t, of(p) == of(q), p.Key() == q.Key())

		r := Resource{Namespace: p.Namespace, Service: p.Name, Instance: word.Draw(t, "i"), Version: word.Draw(t, "v")}
		s := Peer{Kind: NodeService, Namespace: p.Namespace, Name: p.Name, Address: "x"}
		require.Equal(t, r.Key(), s.Key())
		require.Equal(t, r.Node(), s.String())

		a, b := Operation{word.Draw(t, "verb"), word.Draw(t, "target")}, Operation{word.Draw(t, "verb"), word.Draw(t, "target")}
		require.Equal(t, a == b, a.Key() == b.Key())
	})
}

func TestReadResource(t *testing.T) {
	m := pcommon.NewMap()
	require.NoError(t, m.FromRaw(attrs{
		"service.namespace": "shop", "service.name": "orders", "service.instance.id": "orders-1", "service.version": "1.2",
		"deployment.environment": "old", "deployment.environment.name": "prod", "k8s.node.name": "node", "host.name": "host", "cloud.availability_zone": "eu-1a", "x": 1,
	}))
	require.Equal(t, Resource{"shop", "orders", "orders-1", "1.2", "prod", "host", "eu-1a"}, ReadResource(m))

	require.NoError(t, m.FromRaw(attrs{"service.name": 5, "service.version": true, "k8s.node.name": "node", "deployment.environment": "old"}))
	r, wrong := readResource(m)
	require.Equal(t, Resource{Environment: "old", Host: "node"}, r)
	require.Equal(t, 2, wrong)

	require.NoError(t, m.FromRaw(attrs{"service.namespace": "shop", "service.name": "unknown_service:java"}))
	r = ReadResource(m)
	require.Empty(t, r.Service)
	require.Empty(t, r.Node())
}

func TestSplitHostPort(t *testing.T) {
	for s, want := range map[string]struct {
		host string
		port int32
	}{
		"a": {"a", 0}, "a:80": {"a", 80}, "a:b": {"a:b", 0}, "a:": {"a:", 0}, "[::1]:5": {"::1", 5}, "[::1]": {"::1", 0}, "::1": {"::1", 0}, "[": {"[", 0}, "": {"", 0},
		"/tmp/.s.PGSQL.5432": {"/tmp/.s.PGSQL.5432", 0}, "a:99999": {"a:99999", 0},
	} {
		host, port := splitHostPort(s)
		require.Equal(t, want.host, host, s)
		require.Equal(t, want.port, port, s)
	}
	for url, want := range map[string]string{
		"http://a/b": "a", "https://u:p@a:81?x#y": "a:81", "grpc://a": "a", "a/b": "", "": "", "http://": "", "http://a#b": "a",
	} {
		require.Equal(t, want, hostOfURL(url), url)
	}
}

func TestMasked(t *testing.T) {
	var n names
	for name, want := range map[string]string{
		"":                                     "",
		"checkout":                             "checkout",
		"GET /orders/17":                       "GET /orders/{}",
		"/a/5f3c9d1e/b":                        "/a/{}/b",
		"/a/deadbeef/b":                        "/a/deadbeef/b", // no digit: may be a word
		"order12345":                           "order{}",
		"s3.GetObject v2":                      "s3.GetObject v2",
		"http2 utf8":                           "http2 utf8",
		"job-3":                                "job-{}",
		"6f1c2d3e-aaaa-4bbb-8ccc-0123456789ab": "{}",
		"x 6f1c2d3e-aaaa-4bbb-8ccc-0123456789ab y": "x {} y",
		"01ARZ3NDEKTSV4RRFFQ69G5FAV":               "{}",
		"straße 7":                                 "straße {}",
	} {
		require.Equal(t, want, n.masked(name))
	}
	for i := range 10 * maxNames {
		n.buf = append(n.buf[:0], byte('a'+i%26), byte('a'+i/26%26), byte('a'+i/676%26), byte('a'+i/17576))
		n.intern()
		require.LessOrEqual(t, len(n.known), maxNames)
	}
}

func TestClockIsTheHostsWhereItIsNamed(t *testing.T) {
	host := Resource{Service: "orders", Instance: "orders-1", Host: "a"}
	same := Resource{Service: "catalog", Instance: "catalog-1", Host: "a"}
	replica, other := Resource{Service: "orders", Instance: "1"}, Resource{Service: "orders", Instance: "2"}
	service := Resource{Service: "orders"}
	if host.Clock() != same.Clock() {
		t.Error("two services of one host tell different clocks")
	}
	if replica.Clock() == other.Clock() || replica.Clock() == service.Clock() {
		t.Error("replicas on hosts without a name share a clock")
	}
	if service.Clock() != service.Key() {
		t.Error("a service without host and replica has no clock of its own")
	}
}
