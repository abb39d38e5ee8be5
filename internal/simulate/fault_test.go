// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

const (
	items   = "catalog GET /items/{id}"
	query   = "search GET /query"
	store   = "search > elasticsearch/products search products"
	insert  = "orders > postgresql/orders INSERT orders"
	place   = "orders POST /orders"
	reserve = "inventory shop.inventory.v1.Inventory/Reserve"
	charge  = "payment shop.payment.v1.Payment/Charge"
	stripe  = "payment > api.stripe.com POST"
	ms      = int64(1e6)
)

// Each kind of fault does what it is there for, from its beginning on, and leaves alone what it does not concern.
func TestFaults(t *testing.T) {
	plain := run(t, "")
	tests := []struct {
		kind, over string
		hits       func(*assert.Assertions, *seen)
		spares     []string
	}{
		{"slow", "faults: [{kind: slow, target: search, factor: 50}]", func(a *assert.Assertions, s *seen) {
			a.Greater(s.get(query).median(), 10*plain.get(query).median())
			a.InEpsilon(plain.get(store).median(), s.get(store).median(), 0.2)
		}, []string{items, place, charge}},
		{"slow", "faults: [{kind: slow, target: postgresql/orders, table: orders, factor: 20}]", func(a *assert.Assertions, s *seen) {
			a.Greater(s.get(insert).median(), 10*plain.get(insert).median())
			a.InEpsilon(plain.get("orders > postgresql/orders SELECT customers").median(), s.get("orders > postgresql/orders SELECT customers").median(), 0.2)
		}, []string{items, query, charge}},
		{"fail", "faults: [{kind: fail, target: search, ratio: 0.5}]", func(a *assert.Assertions, s *seen) {
			a.InDelta(0.5, s.get(query).share(), 0.08)
		}, []string{items, place, charge}},
		{"fail", "faults: [{kind: fail, target: payment, caller: checkout, ratio: 1, status: 422}]", func(a *assert.Assertions, s *seen) {
			a.Zero(s.get(charge).bad, "a refusal is no failure of the server")
			a.Positive(s.get(charge).codes["INVALID_ARGUMENT"])
			a.Greater(s.get("web POST /buy").share(), 0.9)
		}, []string{items, query}},
		{"down", "faults: [{kind: down, target: postgresql/orders}]", func(a *assert.Assertions, s *seen) {
			a.Greater(s.get("orders > postgresql/orders SELECT customers").share(), 0.99)
			a.Less(s.get(place).median(), 20*ms, "fast failures")
		}, []string{items, query, charge}},
		{"down", "faults: [{kind: down, target: search}]", func(a *assert.Assertions, s *seen) {
			a.Zero(s.get(query).n)
			a.Greater(s.get("gateway > search.shop.internal:8080 GET").share(), 0.99)
		}, []string{items, place, charge}},
		{"hang", "faults: [{kind: hang, target: api.stripe.com}]", func(a *assert.Assertions, s *seen) {
			a.InDelta(1200*ms, s.get(stripe).median(), float64(ms))
			a.Greater(s.get("web POST /buy").share(), 0.9)
		}, []string{items, query}},
		{"pause", "faults: [{kind: pause, target: search, instance: search-1, to: 30s}]", func(a *assert.Assertions, s *seen) {
			a.Positive(s.get("gateway > search.shop.internal:8080 GET").codes["context.deadlineExceededError"])
		}, []string{items, place}},
		{"network", "faults: [{kind: network, caller: gateway, target: search, delay: 100ms}]", func(a *assert.Assertions, s *seen) {
			a.InEpsilon(plain.get(query).median(), s.get(query).median(), 0.2)
			a.Greater(s.get("gateway > search.shop.internal:8080 GET").median(), plain.get(query).median()+190*ms)
		}, []string{items, place, charge}},
		{"partition", "faults: [{kind: partition, caller: gateway, target: search}]", func(a *assert.Assertions, s *seen) {
			a.LessOrEqual(s.get(query).n, 1)
			a.InDelta(1500*ms, s.get("gateway > search.shop.internal:8080 GET").median(), float64(ms))
		}, []string{items, place, charge}},
		{"pool", "system: {services: {orders: {pools: {postgresql/orders: {timeout: 20ms}}}}}\nfaults: [{kind: pool, caller: orders, target: postgresql/orders, size: 1}, {kind: slow, target: postgresql/orders, factor: 80}]", func(a *assert.Assertions, s *seen) {
			a.Positive(s.logs["orders ERROR"])
			a.Greater(s.get(place).share(), 0.2)
			a.Zero(s.get(insert).bad, "those that got a connection are well")
		}, nil},
		{"workers", "faults: [{kind: workers, target: elasticsearch/products, size: 1}, {kind: slow, target: elasticsearch/products, factor: 10}]", func(a *assert.Assertions, s *seen) {
			a.Greater(s.get(store).median(), 150*ms)
		}, []string{items, place}},
		{"lock", "faults: [{kind: lock, target: mysql/inventory, table: stock, to: 20s}]", func(a *assert.Assertions, s *seen) {
			a.Greater(s.get("checkout > inventory.shop.internal:9090 shop.inventory.v1.Inventory/Reserve").codes["DEADLINE_EXCEEDED"], 20)
		}, []string{items, query}},
		{"quota", "faults: [{kind: quota, target: api.stripe.com, rate: 2}]", func(a *assert.Assertions, s *seen) {
			a.Positive(s.get(stripe).codes["429"])
			a.InDelta(120, s.get(stripe).codes[""], 15, "two a second for a minute")
		}, []string{items, query}},
		{"dns", "faults: [{kind: dns, target: api.stripe.com, caller: payment}]", func(a *assert.Assertions, s *seen) {
			a.Equal(s.get(stripe).n, s.get(stripe).codes["*net.DNSError"])
		}, []string{items, query}},
		{"tls", "faults: [{kind: tls, target: search}]", func(a *assert.Assertions, s *seen) {
			a.Positive(s.get("gateway > search.shop.internal:8080 GET").codes["*tls.CertificateVerificationError"])
			a.Zero(s.get(query).n)
		}, []string{items, place}},
		{"auth", "faults: [{kind: auth, target: inventory, caller: checkout}]", func(a *assert.Assertions, s *seen) {
			a.Positive(s.get(reserve).codes["UNAUTHENTICATED"])
		}, []string{items, query}},
		{"swallow", "faults: [{kind: swallow, target: search, ratio: 1}]", func(a *assert.Assertions, s *seen) {
			a.Zero(s.get(query).bad)
			a.Zero(s.get(store).n)
			a.Greater(s.logs["search ERROR"], 100)
		}, []string{items, place}},
		{"poison", "faults: [{kind: poison, target: fraud, partition: 2}]", func(a *assert.Assertions, s *seen) {
			a.Greater(s.get("fraud process orders").bad, 20)
			a.Zero(s.get("billing process orders").bad)
		}, []string{items, query}},
		{"hot", "faults: [{kind: hot, target: kafka/orders, partition: 2, ratio: 1}]", func(a *assert.Assertions, s *seen) {
			a.Zero(s.get(place).share())
		}, []string{items, query, charge}},
		{"flood", "faults: [{kind: flood, target: orders, factor: 10}]", func(a *assert.Assertions, s *seen) {
			a.InEpsilon(10*s.get(place).n, s.get("orders > kafka/orders send orders").n, 0.1)
		}, []string{items, query}},
		{"leak", "faults: [{kind: leak, target: search, factor: 100}]", func(a *assert.Assertions, s *seen) {
			a.Greater(s.get(query).median(), 5*plain.get(query).median())
		}, []string{items, place}},
		{"gc", "faults: [{kind: gc, target: search, pause: 500ms, delay: 2s}]", func(a *assert.Assertions, s *seen) {
			slow := 0
			for _, d := range s.get(query).took {
				if d > 200*ms {
					slow++
				}
			}
			a.Greater(slow, s.get(query).n/20)
			a.Less(s.get(query).median(), 200*ms)
		}, []string{items, place}},
		{"cpu", "faults: [{kind: cpu, target: search, factor: 20}]", func(a *assert.Assertions, s *seen) {
			a.Greater(s.get(query).median(), 5*plain.get(query).median())
			a.Greater(s.get("gateway > search.shop.internal:8080 GET").median(), s.get(query).median()+50*ms, "connections wait")
		}, []string{items, place}},
		{"host", "system: {hosts: 1}\nfaults: [{kind: host, host: host-1, factor: 30}]", func(a *assert.Assertions, s *seen) {
			a.Greater(s.get(query).median(), 5*plain.get(query).median())
			a.Greater(s.get(items).median(), 5*plain.get(items).median())
			a.InEpsilon(plain.get(store).median(), s.get(store).median(), 0.3)
		}, nil},
		{"flush", "faults: [{kind: flush, target: redis/cache.shop.internal}]", func(a *assert.Assertions, s *seen) {
			const read = "catalog > postgresql/catalog SELECT items"
			a.Greater(s.get(read).n, 2*plain.get(read).n)
		}, []string{query, place}},
		{"broker", "faults: [{kind: broker, target: kafka, factor: 40}]", func(a *assert.Assertions, s *seen) {
			a.Greater(s.get("orders > kafka/orders send orders").median(), 80*ms)
		}, []string{items, query, charge}},
		{"surge", "faults: [{kind: surge, factor: 3}]", func(a *assert.Assertions, s *seen) {
			a.InEpsilon(3, float64(s.get("web GET /find").n)/float64(plain.get("web GET /find").n), 0.2)
		}, []string{items, query, place}},
		{"surge", "faults: [{kind: surge, op: GET /find, factor: 3}]", func(a *assert.Assertions, s *seen) {
			a.InEpsilon(3, float64(s.get("web GET /find").n)/float64(plain.get("web GET /find").n), 0.25)
			a.InEpsilon(1, float64(s.get("web POST /buy").n)/float64(plain.get("web POST /buy").n), 0.2)
		}, []string{items, query, place}},
		{"logs", "faults: [{kind: logs, target: billing, rate: 20}]", func(a *assert.Assertions, s *seen) {
			a.InEpsilon(20*60*3, s.logs["billing ERROR"], 0.15)
		}, []string{items, query, place, charge}},
		{"rename", "faults: [{kind: rename, target: search}]", func(a *assert.Assertions, s *seen) {
			a.Positive(s.get(query).n)
		}, []string{items, query, place}},
		{"crash", "faults: [{kind: crash, target: search, delay: 10s, pause: 2s}]", func(a *assert.Assertions, s *seen) {
			a.Positive(s.logs["search FATAL"])
			a.Greater(s.get("gateway > search.shop.internal:8080 GET").share(), 0.3)
		}, []string{items, place}},
		{"lose", "faults: [{kind: lose, target: gateway, ratio: 0.5}]", func(a *assert.Assertions, s *seen) {
			a.InDelta(0.5, float64(s.get("gateway GET /search").n)/float64(s.get("web GET /find").n), 0.1)
		}, []string{items, query, place}},
		{"uncover", "faults: [{kind: uncover, target: search}]", func(a *assert.Assertions, s *seen) {
			a.Zero(s.get(query).n)
		}, []string{items, place}},
		{"deploy", "faults: [{kind: deploy, target: search, version: 9.9.9}, {kind: fail, target: search, version: 9.9.9, ratio: 1}]", func(a *assert.Assertions, s *seen) {
			a.Greater(s.get(query).share(), 0.95)
		}, []string{items, place}},
		{"flag", "system: {services: {search: {operations: {GET /query: [{work: 5ms}, {return: true, flag: empty}, {db: elasticsearch/products, verb: search, table: products, work: 12ms}]}}}}\nfaults: [{kind: flag, target: search, flag: empty}]", func(a *assert.Assertions, s *seen) {
			a.Zero(s.get(store).n)
			a.Less(s.get(query).median(), plain.get(query).median())
		}, []string{items, place}},
	}
	tested := map[string]bool{}
	for _, tt := range tests {
		tested[tt.kind] = true
		t.Run(tt.kind, func(t *testing.T) {
			a := assert.New(t)
			s := run(t, tt.over)
			if !strings.Contains(tt.over, "system:") {
				a.Equal(plain.early, s.early, "nothing changes before the fault begins")
			}
			tt.hits(a, s)
			for _, key := range tt.spares {
				a.InEpsilon(plain.get(key).median(), s.get(key).median(), 0.25, key)
				a.InDelta(plain.get(key).share(), s.get(key).share(), 0.02, key)
			}
		})
	}
	for kind := range faultKinds {
		assert.True(t, tested[kind], "a fault of kind %s has no test", kind)
	}
}
