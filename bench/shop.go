// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"
)

const (
	otelhttp = "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	otelgrpc = "go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	otelsql  = "github.com/XSAM/otelsql"
	redis    = "github.com/redis/go-redis/extra/redisotel"
	kotel    = "github.com/twmb/franz-go/plugin/kotel"

	server   = ptrace.SpanKindServer
	client   = ptrace.SpanKindClient
	producer = ptrace.SpanKindProducer
	consumer = ptrace.SpanKindConsumer

	ms = time.Millisecond
	us = time.Microsecond
)

// In failPercent of the traces the order is not stored: the database runs into its time limit after
// failDelay, and the failure passes up to the gateway.
const (
	failPercent = 5
	failDelay   = 400 * ms
)

// services of the shop; each runs in instances processes.
var services = []string{"gateway", "catalog", "orders", "payments", "fulfilment", "notifier"}

const (
	gateway = iota
	catalog
	orders
	payments
	fulfilment
	notifier
	instances = 2
)

// attribute is a key and its value, a string or an int; %d in a string stands for the order's number.
type attribute struct {
	key   string
	value any
}

// step is one span of a checkout.
type step struct {
	service int
	parent  int // index of a step before; -1: none. A step whose parent did not happen does not, either
	percent int // of the traces that the step happens in
	kind    ptrace.SpanKind
	scope   string
	name    string
	from    time.Duration // since the trace began
	took    time.Duration // and up to half as much again
	attrs   []attribute

	skipped bool        // not reached in a failing trace
	failed  []attribute // instead of attrs of the same key, when the trace fails; nil: the step does not fail
}

// checkout is what happens when a customer buys, with attributes as the instrumentations of 2026 send them.
var checkout = []step{
	{service: gateway, parent: -1, percent: 100, kind: server, scope: otelhttp, name: "POST /checkout", from: 0, took: 40 * ms,
		attrs:  httpServer("POST", "shop.example", "/checkout", "/checkout", 201),
		failed: []attribute{{"http.response.status_code", 500}, {"error.type", "500"}}},
	{service: gateway, parent: 0, percent: 60, kind: client, scope: otelhttp, name: "GET", from: 300 * us, took: 4 * ms,
		attrs: httpClient("GET", "catalog.shop.internal", "/items/%d", 200)},
	{service: catalog, parent: 1, percent: 100, kind: server, scope: otelhttp, name: "GET /items/{id}", from: 600 * us, took: 3 * ms,
		attrs: httpServer("GET", "catalog.shop.internal", "/items/{id}", "/items/%d", 200)},
	{service: catalog, parent: 2, percent: 100, kind: client, scope: redis, name: "GET", from: 900 * us, took: 1 * ms,
		attrs: []attribute{{"db.system.name", "redis"}, {"db.namespace", "0"}, {"db.operation.name", "GET"},
			{"db.query.text", "GET item:%d"}, {"server.address", "cache.shop.internal"}, {"server.port", 6379}}},
	{service: gateway, parent: 0, percent: 100, kind: client, scope: otelhttp, name: "POST", from: 6 * ms, took: 30 * ms,
		attrs:  httpClient("POST", "orders.shop.internal", "/orders", 201),
		failed: []attribute{{"http.response.status_code", 500}, {"error.type", "500"}}},
	{service: orders, parent: 4, percent: 100, kind: server, scope: otelhttp, name: "POST /orders", from: 6500 * us, took: 28 * ms,
		attrs:  httpServer("POST", "orders.shop.internal", "/orders", "/orders", 201),
		failed: []attribute{{"http.response.status_code", 500}, {"error.type", "500"}}},
	{service: orders, parent: 5, percent: 100, kind: client, scope: otelsql, name: "INSERT orders", from: 7 * ms, took: 3 * ms,
		attrs:  postgres("INSERT", "orders", "INSERT INTO orders (account, item) VALUES ($1, $2) RETURNING id"),
		failed: []attribute{{"db.response.status_code", "57014"}, {"error.type", "57014"}}},
	{service: orders, parent: 5, percent: 75, kind: client, scope: otelgrpc, name: "shop.payments.v1.Payments/Charge", from: 11 * ms, took: 12 * ms,
		attrs: rpc("shop.payments.v1.Payments/Charge", "payments.shop.internal"), skipped: true},
	{service: payments, parent: 7, percent: 100, kind: server, scope: otelgrpc, name: "shop.payments.v1.Payments/Charge", from: 11400 * us, took: 11 * ms,
		attrs: rpc("shop.payments.v1.Payments/Charge", "payments.shop.internal")},
	{service: orders, parent: 5, percent: 100, kind: producer, scope: kotel, name: "publish orders", from: 25 * ms, took: 3 * ms,
		attrs: kafka("publish", "send", attribute{"messaging.kafka.message.key", "%d"}), skipped: true},
	{service: fulfilment, parent: 9, percent: 100, kind: consumer, scope: kotel, name: "process orders", from: 50 * ms, took: 15 * ms,
		attrs: kafka("process", "process", attribute{"messaging.consumer.group.name", "fulfilment"})},
	{service: fulfilment, parent: 10, percent: 100, kind: client, scope: otelsql, name: "UPDATE stock", from: 51 * ms, took: 3 * ms,
		attrs: postgres("UPDATE", "stock", "UPDATE stock SET n = n - 1 WHERE item = $1")},
	{service: fulfilment, parent: 10, percent: 75, kind: client, scope: otelgrpc, name: "shop.notifier.v1.Notifier/Notify", from: 56 * ms, took: 5 * ms,
		attrs: rpc("shop.notifier.v1.Notifier/Notify", "notifier.shop.internal")},
	{service: notifier, parent: 12, percent: 100, kind: server, scope: otelgrpc, name: "shop.notifier.v1.Notifier/Notify", from: 56500 * us, took: 4 * ms,
		attrs: rpc("shop.notifier.v1.Notifier/Notify", "notifier.shop.internal")},
}

func httpServer(method, host, route, path string, status int) []attribute {
	return []attribute{{"server.address", host}, {"http.request.method", method}, {"url.scheme", "http"},
		{"server.port", 8080}, {"network.peer.address", "10.4.7.19"}, {"network.peer.port", 44707},
		{"user_agent.original", "Go-http-client/1.1"}, {"client.address", "10.4.7.19"}, {"url.path", path}, {"http.route", route},
		{"network.protocol.version", "1.1"}, {"http.response.body.size", 41}, {"http.response.status_code", status}}
}

func httpClient(method, host, path string, status int) []attribute {
	return []attribute{{"http.request.method", method}, {"url.full", "http://" + host + ":8080" + path}, {"server.address", host},
		{"server.port", 8080}, {"network.protocol.version", "1.1"}, {"http.response.status_code", status}}
}

func rpc(method, host string) []attribute {
	return []attribute{{"rpc.method", method}, {"rpc.system.name", "grpc"}, {"server.address", host}, {"server.port", 9090},
		{"rpc.response.status_code", "OK"}}
}

func postgres(operation, table, query string) []attribute {
	return []attribute{{"db.system.name", "postgresql"}, {"db.namespace", "shop"}, {"db.operation.name", operation},
		{"db.collection.name", table}, {"db.query.text", query}, {"server.address", "db.shop.internal"}, {"server.port", 5432}}
}

func kafka(operation, kind string, more attribute) []attribute {
	return []attribute{{"messaging.system", "kafka"}, {"messaging.destination.name", "orders"}, {"messaging.operation.name", operation},
		{"messaging.operation.type", kind}, {"messaging.destination.partition.id", "7"}, {"messaging.kafka.offset", 81723},
		{"messaging.client.id", "shop-1"}, more}
}
