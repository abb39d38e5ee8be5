// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"testing"

	"go.opentelemetry.io/collector/pdata/ptrace"
)

func TestHTTP(t *testing.T) {
	runShapes(t, []shapeCase{
		{
			"go otelhttp server with a pattern",
			shape{kind: server, name: "POST /orders", attrs: attrs{
				"http.request.method": "POST", "http.route": "/orders", "server.address": "orders.shop.internal", "server.port": 8080,
				"network.peer.address": "10.0.0.3", "network.peer.port": 51010, "url.scheme": "http", "url.path": "/orders",
				"client.address": "10.0.0.3", "http.response.status_code": 201, "http.response.body.size": 40,
			}},
			want{protocol: ProtocolHTTP, operation: "POST /orders"},
		},
		{
			"go otelhttp server named by the handler",
			shape{kind: server, name: "gateway", attrs: attrs{
				"http.request.method": "GET", "server.address": "gw", "url.path": "/items/17", "http.response.status_code": 500,
			}, status: ptrace.StatusCodeError},
			want{protocol: ProtocolHTTP, operation: "GET gateway", outcome: Fail, reason: ReasonError},
		},
		{
			"go otelhttp server whose name is a path",
			shape{kind: server, name: "GET /items/17/parts/6f1c2d3e-aaaa-4bbb-8ccc-0123456789ab", attrs: attrs{"http.request.method": "GET"}},
			want{protocol: ProtocolHTTP, operation: "GET /items/{}/parts/{}"},
		},
		{
			"go otelhttp client has no route: never the path",
			shape{kind: client, name: "HTTP GET", attrs: attrs{
				"http.request.method": "GET", "url.full": "http://orders.shop.internal:8080/orders/17", "server.address": "orders.shop.internal",
				"server.port": 8080, "network.protocol.version": "1.1", "http.response.status_code": 200,
			}},
			want{protocol: ProtocolHTTP, kind: NodeExternal, peer: "orders.shop.internal:8080", operation: "GET"},
		},
		{
			"go otelhttp client: refused",
			shape{kind: client, name: "HTTP GET", attrs: attrs{
				"http.request.method": "GET", "url.full": "http://orders:8080/timeout", "server.address": "orders", "server.port": 8080, "error.type": "*url.Error",
			}, status: ptrace.StatusCodeError, message: `Get "http://orders:8080/timeout": dial tcp 10.0.0.4:8080: connect: connection refused`},
			want{protocol: ProtocolHTTP, kind: NodeExternal, peer: "orders:8080", operation: "GET", outcome: Fail, reason: ReasonUnreachable, errorType: "*url.Error"},
		},
		{
			"go otelhttp client: deadline",
			shape{kind: client, name: "HTTP GET", attrs: attrs{
				"http.request.method": "GET", "server.address": "orders", "server.port": 443, "error.type": "context.deadlineExceededError",
			}, status: ptrace.StatusCodeError, message: "context deadline exceeded"},
			want{protocol: ProtocolHTTP, kind: NodeExternal, peer: "orders", operation: "GET", outcome: Fail, reason: ReasonTimeout, errorType: "context.deadlineExceededError"},
		},
		{
			"go otelhttp client: cancelled",
			shape{kind: client, name: "HTTP GET", attrs: attrs{
				"http.request.method": "GET", "server.address": "orders", "error.type": "*errors.errorString",
			}, status: ptrace.StatusCodeError, message: `Get "http://orders/": context canceled`},
			want{protocol: ProtocolHTTP, kind: NodeExternal, peer: "orders", operation: "GET", outcome: Ignored, reason: ReasonCancelled, errorType: "*errors.errorString"},
		},
		{
			"client that got 200 and then lost the body",
			shape{kind: client, name: "GET", attrs: attrs{
				"http.request.method": "GET", "server.address": "orders", "http.response.status_code": 200,
			}, status: ptrace.StatusCodeError, message: "unexpected EOF"},
			want{protocol: ProtocolHTTP, kind: NodeExternal, peer: "orders", operation: "GET", outcome: Fail, reason: ReasonUnreachable},
		},
		{
			"java agent client, okhttp, resent twice, with template",
			shape{kind: client, name: "GET /users/{id}", attrs: attrs{
				"http.request.method": "GET", "url.full": "https://users.example/users/5?token=x", "url.template": "/users/{id}", "server.address": "users.example",
				"server.port": 443, "http.request.resend_count": 2, "network.protocol.version": "2", "thread.id": 12, "error.type": "java.net.SocketTimeoutException",
			}, status: ptrace.StatusCodeError, exception: [2]string{"java.net.SocketTimeoutException", "Read timed out"}},
			want{protocol: ProtocolHTTP, kind: NodeExternal, peer: "users.example", operation: "GET /users/{id}", outcome: Fail, reason: ReasonTimeout,
				errorType: "java.net.SocketTimeoutException", attempt: 2},
		},
		{
			"java agent client with peer.service mapping",
			shape{kind: client, name: "POST", attrs: attrs{
				"http.request.method": "POST", "server.address": "10.1.2.3", "server.port": 8080, "peer.service": "billing", "network.peer.address": "10.1.2.3",
				"network.peer.port": 8080, "error.type": "java.net.ConnectException",
			}, status: ptrace.StatusCodeError},
			want{protocol: ProtocolHTTP, kind: NodeService, peer: "billing", operation: "POST", outcome: Fail, reason: ReasonUnreachable, errorType: "java.net.ConnectException"},
		},
		{
			"the newer name of the peer goes first, with its namespace",
			shape{kind: client, name: "POST", attrs: attrs{
				"http.request.method": "POST", "server.address": "10.1.2.3", "peer.service": "old", "service.peer.name": "billing", "service.peer.namespace": "shop",
			}},
			want{protocol: ProtocolHTTP, kind: NodeService, peer: "shop/billing", operation: "POST"},
		},
		{
			"java tomcat server",
			shape{kind: server, name: "GET /users/{id}", attrs: attrs{
				"http.request.method": "GET", "http.route": "/users/{id}", "server.address": "users", "client.address": "1.2.3.4", "http.response.status_code": 404,
			}},
			want{protocol: ProtocolHTTP, operation: "GET /users/{id}", outcome: Ignored, reason: ReasonClient},
		},
		{
			"java server that failed by its own breaker",
			shape{kind: server, name: "GET /pay", attrs: attrs{
				"http.request.method": "GET", "http.route": "/pay", "http.response.status_code": 500, "error.type": "500",
			}, status: ptrace.StatusCodeError, exception: [2]string{"io.github.resilience4j.circuitbreaker.CallNotPermittedException", "CircuitBreaker 'pay' is OPEN"}},
			want{protocol: ProtocolHTTP, operation: "GET /pay", outcome: Fail, reason: ReasonRejected, errorType: "500"},
		},
		{
			"node undici: refused",
			shape{kind: client, name: "GET", attrs: attrs{
				"http.request.method": "GET", "url.full": "http://orders:8080/", "server.address": "orders", "server.port": 8080, "error.type": "ECONNREFUSED",
			}, status: ptrace.StatusCodeError, message: "connect ECONNREFUSED 10.0.0.1:8080"},
			want{protocol: ProtocolHTTP, kind: NodeExternal, peer: "orders:8080", operation: "GET", outcome: Fail, reason: ReasonUnreachable, errorType: "ECONNREFUSED"},
		},
		{
			"node http, older names, numbers as text",
			shape{kind: client, name: "HTTPS POST", attrs: attrs{
				"http.method": "POST", "http.url": "https://user:pw@api.example:8443/v1/pay?id=5", "http.host": "other:1", "http.target": "/v1/pay",
				"http.status_code": "503", "http.status_text": "Service Unavailable", "net.peer.name": "api.example", "net.peer.port": "8443", "net.peer.ip": "203.0.113.9",
			}, status: ptrace.StatusCodeError},
			want{protocol: ProtocolHTTP, kind: NodeExternal, peer: "api.example:8443", operation: "POST", outcome: Fail, reason: ReasonError, instance: "203.0.113.9"},
		},
		{
			"python requests, older names, URL only",
			shape{kind: client, name: "GET", attrs: attrs{"http.method": "GET", "http.url": "http://[2001:db8::1]:9000/x", "http.status_code": 429}, status: ptrace.StatusCodeError},
			want{protocol: ProtocolHTTP, kind: NodeExternal, peer: "[2001:db8::1]:9000", operation: "GET", outcome: Throttled, reason: ReasonThrottled},
		},
		{
			"python requests, new names",
			shape{kind: client, name: "GET", attrs: attrs{
				"http.request.method": "GET", "url.full": "http://orders/", "server.address": "orders", "error.type": "ConnectTimeout", "network.peer.port": 80,
			}, status: ptrace.StatusCodeError, exception: [2]string{"requests.exceptions.ConnectTimeout", "HTTPConnectionPool(host='orders', port=80): Max retries exceeded"}},
			want{protocol: ProtocolHTTP, kind: NodeExternal, peer: "orders", operation: "GET", outcome: Fail, reason: ReasonTimeout, errorType: "ConnectTimeout"},
		},
		{
			".net HttpClient: no such name",
			shape{kind: client, name: "GET", attrs: attrs{
				"http.request.method": "GET", "url.full": "http://nope/", "server.address": "nope", "server.port": 80, "error.type": "name_resolution_error",
			}, status: ptrace.StatusCodeError},
			want{protocol: ProtocolHTTP, kind: NodeExternal, peer: "nope", operation: "GET", outcome: Fail, reason: ReasonUnreachable, errorType: "name_resolution_error"},
		},
		{
			".net HttpClient: its timeout looks like a cancellation",
			shape{kind: client, name: "GET", attrs: attrs{
				"http.request.method": "GET", "server.address": "slow", "server.port": 80, "error.type": "System.Threading.Tasks.TaskCanceledException",
			}, status: ptrace.StatusCodeError, exception: [2]string{
				"System.Threading.Tasks.TaskCanceledException", "The request was canceled due to the configured HttpClient.Timeout of 2 seconds elapsing.",
			}},
			want{protocol: ProtocolHTTP, kind: NodeExternal, peer: "slow", operation: "GET", outcome: Fail, reason: ReasonTimeout, errorType: "System.Threading.Tasks.TaskCanceledException"},
		},
		{
			".net HttpClient: cancelled",
			shape{kind: client, name: "GET", attrs: attrs{
				"http.request.method": "GET", "server.address": "slow", "error.type": "System.Threading.Tasks.TaskCanceledException",
			}, status: ptrace.StatusCodeError},
			want{protocol: ProtocolHTTP, kind: NodeExternal, peer: "slow", operation: "GET", outcome: Ignored, reason: ReasonCancelled, errorType: "System.Threading.Tasks.TaskCanceledException"},
		},
		{
			"polly's breaker was open",
			shape{kind: client, name: "GET", attrs: attrs{"http.request.method": "GET", "server.address": "slow", "error.type": "Polly.CircuitBreaker.BrokenCircuitException"}, status: ptrace.StatusCodeError},
			want{protocol: ProtocolHTTP, kind: NodeExternal, peer: "slow", operation: "GET", outcome: Ignored, reason: ReasonRejected, errorType: "Polly.CircuitBreaker.BrokenCircuitException"},
		},
		{
			"a gateway's own words about its breaker are the callee's failure",
			shape{kind: client, name: "GET", attrs: attrs{"http.request.method": "GET", "server.address": "gw", "http.response.status_code": 503}, status: ptrace.StatusCodeError, message: "circuit breaker is open"},
			want{protocol: ProtocolHTTP, kind: NodeExternal, peer: "gw", operation: "GET", outcome: Fail, reason: ReasonError},
		},
		{
			"status number in error.type only",
			shape{kind: client, name: "GET", attrs: attrs{"http.request.method": "GET", "server.address": "gw", "error.type": 404}, status: ptrace.StatusCodeError},
			want{protocol: ProtocolHTTP, kind: NodeExternal, peer: "gw", operation: "GET", outcome: Ignored, reason: ReasonClient, errorType: "404"},
		},
		{
			"an AI provider that names no address",
			shape{kind: client, name: "chat gpt-x", attrs: attrs{"gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-x"}},
			want{kind: NodeExternal, peer: "openai", operation: "chat gpt-x"},
		},
		{
			"a function invoked by name",
			shape{kind: client, name: "Invoke", attrs: attrs{"faas.invoked_name": "resize", "faas.invoked_provider": "aws"}},
			want{kind: NodeService, peer: "resize", operation: "Invoke"},
		},
	})
}
