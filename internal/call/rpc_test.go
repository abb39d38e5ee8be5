// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"testing"

	"go.opentelemetry.io/collector/pdata/ptrace"
)

func TestRPC(t *testing.T) {
	runShapes(t, []shapeCase{
		{
			"go otelgrpc client, new names",
			shape{kind: client, name: "shop.v1.Notifier/Notify", attrs: attrs{
				"rpc.system.name": "grpc", "rpc.method": "shop.v1.Notifier/Notify", "server.address": "notifier", "server.port": 9090, "rpc.response.status_code": "OK",
			}},
			want{protocol: ProtocolRPC, kind: NodeExternal, peer: "notifier:9090", operation: "shop.v1.Notifier/Notify"},
		},
		{
			"go otelgrpc client: refused",
			shape{kind: client, name: "shop.v1.Notifier/Notify", attrs: attrs{
				"rpc.system.name": "grpc", "rpc.method": "shop.v1.Notifier/Notify", "server.address": "notifier", "server.port": 9090, "rpc.response.status_code": "UNAVAILABLE",
			}, status: ptrace.StatusCodeError, message: `connection error: desc = "transport: Error while dialing: dial tcp 10.0.0.4:9090: connect: connection refused"`},
			want{protocol: ProtocolRPC, kind: NodeExternal, peer: "notifier:9090", operation: "shop.v1.Notifier/Notify", outcome: Fail, reason: ReasonUnreachable, errorType: "UNAVAILABLE"},
		},
		{
			"go otelgrpc, older names, numeric code, replica beside the name",
			shape{kind: client, name: "shop.v1.Notifier/Notify", attrs: attrs{
				"rpc.system": "grpc", "rpc.service": "shop.v1.Notifier", "rpc.method": "Notify", "rpc.grpc.status_code": 4,
				"net.peer.name": "dns:///notifier:9090", "net.sock.peer.addr": "10.0.0.4", "net.sock.peer.port": 9090,
			}, status: ptrace.StatusCodeError},
			want{protocol: ProtocolRPC, kind: NodeExternal, peer: "notifier:9090", operation: "shop.v1.Notifier/Notify", outcome: Fail, reason: ReasonTimeout,
				errorType: "DEADLINE_EXCEEDED", instance: "10.0.0.4"},
		},
		{
			"both generations at once: the newest status counts",
			shape{kind: client, name: "s/m", attrs: attrs{
				"rpc.system": "grpc", "rpc.system.name": "grpc", "rpc.service": "s", "rpc.method": "m", "server.address": "n",
				"rpc.grpc.status_code": 14, "rpc.response.status_code": "INTERNAL", "rpc.status_code": "RESOURCE_EXHAUSTED",
			}, status: ptrace.StatusCodeError},
			want{protocol: ProtocolRPC, kind: NodeExternal, peer: "n", operation: "s/m", outcome: Throttled, reason: ReasonThrottled, errorType: "RESOURCE_EXHAUSTED"},
		},
		{
			"java grpc server, name differs",
			shape{kind: server, name: "my name", attrs: attrs{
				"rpc.system": "grpc", "rpc.service": "shop.Orders", "rpc.method": "Place", "rpc.grpc.status_code": 13, "server.address": "orders", "network.peer.address": "10.0.0.1",
			}, status: ptrace.StatusCodeError, exception: [2]string{"java.lang.IllegalStateException", "pool closed"}},
			want{protocol: ProtocolRPC, operation: "shop.Orders/Place", outcome: Fail, reason: ReasonError, errorType: "INTERNAL"},
		},
		{
			"java grpc client: io exception",
			shape{kind: client, name: "shop.Orders/Place", attrs: attrs{
				"rpc.system": "grpc", "rpc.service": "shop.Orders", "rpc.method": "Place", "rpc.grpc.status_code": 14, "server.address": "orders",
			}, status: ptrace.StatusCodeError, exception: [2]string{"io.grpc.StatusRuntimeException", "UNAVAILABLE: io exception"}},
			want{protocol: ProtocolRPC, kind: NodeExternal, peer: "orders", operation: "shop.Orders/Place", outcome: Fail, reason: ReasonUnreachable, errorType: "UNAVAILABLE"},
		},
		{
			"node grpc-js, status as text, no address: the service offered",
			shape{kind: client, name: "grpc.shop.Orders/Place", attrs: attrs{
				"rpc.system": "grpc", "rpc.service": "shop.Orders", "rpc.method": "Place", "rpc.grpc.status_code": "1",
			}, status: ptrace.StatusCodeError},
			want{protocol: ProtocolRPC, kind: NodeExternal, peer: "shop.Orders", operation: "shop.Orders/Place", outcome: Ignored, reason: ReasonCancelled, errorType: "CANCELLED"},
		},
		{
			"python grpc with a leading slash",
			shape{kind: client, name: "/shop.Orders/Place", attrs: attrs{"rpc.system": "grpc", "rpc.method": "/shop.Orders/Place", "rpc.grpc.status_code": 3}, status: ptrace.StatusCodeError},
			want{protocol: ProtocolRPC, kind: NodeExternal, peer: "shop.Orders", operation: "shop.Orders/Place", outcome: Ignored, reason: ReasonClient, errorType: "INVALID_ARGUMENT"},
		},
		{
			"connect",
			shape{kind: client, name: "shop.Orders/Place", attrs: attrs{
				"rpc.system": "connect_rpc", "rpc.service": "shop.Orders", "rpc.method": "Place", "rpc.connect_rpc.error_code": "deadline_exceeded", "net.peer.name": "orders", "net.peer.port": 8080,
			}, status: ptrace.StatusCodeError},
			want{protocol: ProtocolRPC, kind: NodeExternal, peer: "orders:8080", operation: "shop.Orders/Place", outcome: Fail, reason: ReasonTimeout, errorType: "DEADLINE_EXCEEDED"},
		},
		{
			"status in error.type only",
			shape{kind: client, name: "shop.Orders/Place", attrs: attrs{
				"rpc.system.name": "grpc", "rpc.method": "shop.Orders/Place", "server.address": "orders", "error.type": "NOT_FOUND",
			}, status: ptrace.StatusCodeError},
			want{protocol: ProtocolRPC, kind: NodeExternal, peer: "orders", operation: "shop.Orders/Place", outcome: Ignored, reason: ReasonClient, errorType: "NOT_FOUND"},
		},
		{
			"dubbo's own words",
			shape{kind: client, name: "shop.Orders/Place", attrs: attrs{
				"rpc.system.name": "dubbo", "rpc.method": "shop.Orders/Place", "server.address": "orders", "server.port": 20880, "rpc.response.status_code": "SERVER_TIMEOUT",
			}, status: ptrace.StatusCodeError},
			want{protocol: ProtocolRPC, kind: NodeExternal, peer: "orders:20880", operation: "shop.Orders/Place", outcome: Fail, reason: ReasonTimeout, errorType: "SERVER_TIMEOUT"},
		},
		{
			"java AWS SDK: S3, throttled with a 400",
			shape{kind: client, name: "S3.PutObject", attrs: attrs{
				"rpc.system": "aws-api", "rpc.service": "S3", "rpc.method": "PutObject", "http.request.method": "PUT", "http.response.status_code": 400,
				"url.full": "https://b.s3.amazonaws.com/k", "server.address": "b.s3.amazonaws.com", "error.type": "ThrottlingException",
			}, status: ptrace.StatusCodeError},
			want{protocol: ProtocolRPC, kind: NodeExternal, peer: "b.s3.amazonaws.com", operation: "S3/PutObject", outcome: Throttled, reason: ReasonThrottled, errorType: "ThrottlingException"},
		},
		{
			"java AWS SDK: DynamoDB is a database",
			shape{kind: client, name: "DynamoDb.GetItem", attrs: attrs{
				"rpc.system": "aws-api", "rpc.service": "DynamoDb", "rpc.method": "GetItem", "db.system": "dynamodb", "db.operation": "GetItem", "aws.table.name": "stock",
				"server.address": "dynamodb.eu-central-1.amazonaws.com", "http.request.method": "POST", "http.response.status_code": 500,
			}, status: ptrace.StatusCodeError},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "aws.dynamodb/dynamodb.eu-central-1.amazonaws.com", operation: "GetItem", outcome: Fail, reason: ReasonError},
		},
	})
}
