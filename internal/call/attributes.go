// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import "go.opentelemetry.io/collector/pdata/pcommon"

// attribute notes one attribute of a span. The numbers are the places in the rows of the look-up
// table: new names first, then those they replaced. Within a row the lowest number wins.
func (b *Batch) attribute(r *raw, key string, v pcommon.Value) {
	switch key {
	// Named peer.
	case "service.peer.namespace":
		r.peerNamespace = b.text(v)
	case "service.peer.name":
		r.peer.put(1, b.text(v))
	case "peer.service":
		r.peer.put(2, b.text(v))

	// Address of the other side, and of the replica that answered.
	case "server.address":
		r.address.put(1, b.text(v))
	case "net.peer.name":
		r.address.put(2, b.text(v))
	case "network.peer.address":
		s := b.text(v)
		r.address.put(3, s)
		r.instance.put(1, s)
	case "net.sock.peer.name":
		r.address.put(4, b.text(v))
	case "net.sock.peer.addr":
		s := b.text(v)
		r.address.put(5, s)
		r.instance.put(2, s)
	case "net.peer.ip":
		s := b.text(v)
		r.address.put(6, s)
		r.instance.put(3, s)
	case "url.full":
		r.address.put(addressURL, b.text(v))
	case "http.url":
		r.address.put(addressURL+1, b.text(v))
	case "http.host":
		r.address.put(addressHost, b.text(v))
	case "server.port":
		r.serverPort = b.port(v)
	case "net.peer.port":
		r.netPeerPort = b.port(v)
	case "network.peer.port":
		r.networkPeerPort = b.port(v)
	case "net.sock.peer.port":
		r.sockPeerPort = b.port(v)

	// Database.
	case "db.system.name":
		r.dbSystem.put(1, b.text(v))
	case "db.system":
		r.dbSystem.put(2, b.text(v))
	case "db.namespace":
		r.dbNamespace.put(1, b.text(v))
	case "db.name":
		r.dbNamespace.put(2, b.text(v))
	case "db.redis.database_index":
		// A number only: it never names a node, so its value is of no use, but its type is not wrong.
	case "db.collection.name":
		r.dbCollection.put(1, b.text(v))
	case "db.sql.table":
		r.dbCollection.put(2, b.text(v))
	case "db.mongodb.collection":
		r.dbCollection.put(3, b.text(v))
	case "db.operation.name":
		r.dbOperation.put(1, b.text(v))
	case "db.operation":
		r.dbOperation.put(2, b.text(v))
	case "db.query.summary":
		r.dbSummary = b.text(v)
	case "db.query.text":
		r.dbQuery.put(1, b.text(v))
	case "db.statement":
		r.dbQuery.put(2, b.text(v))
	case "db.response.status_code":
		b.code(&r.dbCode, 1, v)
	case "pgx.sql_state":
		b.code(&r.dbCode, 2, v)

	// HTTP.
	case "http.request.method":
		r.method.put(1, b.text(v))
	case "http.method":
		r.method.put(2, b.text(v))
	case "http.route":
		r.route.put(1, b.text(v))
	case "url.template":
		r.route.put(2, b.text(v))
	case "http.response.status_code":
		b.code(&r.httpCode, 1, v)
	case "http.status_code":
		b.code(&r.httpCode, 2, v)
	case "http.request.resend_count":
		r.resend, _ = b.number(v)

	default:
		b.moreAttribute(r, key, v)
	}
}

// moreAttribute is the second half of attribute: calls by RPC and by message, functions, errors.
func (b *Batch) moreAttribute(r *raw, key string, v pcommon.Value) {
	switch key {
	// RPC.
	case "rpc.system.name":
		r.rpcSystem.put(1, b.text(v))
	case "rpc.system":
		r.rpcSystem.put(2, b.text(v))
	case "rpc.service":
		r.rpcService = b.text(v)
	case "rpc.method":
		r.rpcMethod = b.text(v)
	case "rpc.status_code":
		b.code(&r.rpcCode, 1, v)
	case "rpc.response.status_code":
		b.code(&r.rpcCode, 2, v)
	case "rpc.grpc.status_code":
		b.code(&r.rpcCode, 3, v)
	case "rpc.connect_rpc.error_code":
		b.code(&r.rpcCode, 4, v)

	// Messaging.
	case "messaging.system":
		r.mqSystem = b.text(v)
	case "messaging.destination.name":
		r.mqDestination.put(1, b.text(v))
	case "messaging.destination":
		r.mqDestination.put(2, b.text(v))
	case "messaging.source.name":
		r.mqDestination.put(3, b.text(v))
	case "messaging.url":
		r.mqDestination.put(destinationURL, b.text(v))
	case "messaging.destination.template":
		r.mqTemplate = b.text(v)
	case "messaging.operation.type":
		r.mqOperation.put(1, b.text(v))
	case "messaging.operation":
		r.mqOperation.put(2, b.text(v))
	case "messaging.operation.name":
		r.mqOperation.put(3, b.text(v))
	case "messaging.consumer.group.name":
		r.mqGroup.put(1, b.text(v))
	case "messaging.kafka.consumer.group", "messaging.kafka.consumer_group", "messaging.consumer_group":
		r.mqGroup.put(2, b.text(v))
	case "messaging.destination.partition.id":
		if s := b.partition(v); s != "" {
			r.mqPartition = s
		}
	case "messaging.kafka.destination.partition", "messaging.kafka.source.partition", "messaging.kafka.partition":
		if r.mqPartition == "" {
			r.mqPartition = b.partition(v)
		}
	case "messaging.destination.temporary", "messaging.destination.anonymous", "messaging.temp_destination":
		r.mqTemporary = r.mqTemporary || b.flag(v)

	// Other callees.
	case "faas.invoked_name":
		r.faas = b.text(v)
	case "gen_ai.provider.name":
		r.genAI = b.text(v)

	// Why it failed.
	case "error.type":
		r.errorType = b.errorType(v)
	case "breaker.rejected":
		r.rejected = b.flag(v)
	}
}

// errorType reads error.type, which some send as a status number.
func (b *Batch) errorType(v pcommon.Value) string {
	if v.Type() != pcommon.ValueTypeInt {
		return b.text(v)
	}
	c := code{number: v.Int(), rank: 1}
	return c.string(&b.names)
}
