// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate // import "github.com/firebreak-otel/firebreak/internal/simulate"

// Attributes that spans of several kinds carry, by their present names and by those of before.
const (
	attrMethod      = "http.request.method"
	attrStatus      = "http.response.status_code"
	attrRoute       = "http.route"
	attrResend      = "http.request.resend_count"
	attrURL         = "url.full"
	attrAddress     = "server.address"
	attrPort        = "server.port"
	attrPeerAddress = "network.peer.address"
	attrErrorType   = "error.type"

	oldMethod   = "http.method"
	oldStatus   = "http.status_code"
	oldURL      = "http.url"
	oldPeerName = "net.peer.name"
	oldPeerPort = "net.peer.port"
	oldSockPeer = "net.sock.peer.addr"
)

// scopeName is the instrumentation that made a span.
func scopeName(st style, of string) string {
	const contrib = "go.opentelemetry.io/contrib/instrumentation/"
	if st == styleGo {
		switch of {
		case "http", "httpclient":
			return contrib + "net/http/otelhttp"
		case "grpc":
			return contrib + "google.golang.org/grpc/otelgrpc"
		case "sql":
			return "github.com/XSAM/otelsql"
		case "redis":
			return "github.com/redis/go-redis/extra/redisotel"
		}
		return "github.com/twmb/franz-go/plugin/kotel"
	}
	switch of {
	case "http":
		return "io.opentelemetry.tomcat-10.0"
	case "httpclient":
		return "io.opentelemetry.java-http-client"
	case "grpc":
		return "io.opentelemetry.grpc-1.6"
	case "sql":
		return "io.opentelemetry.jdbc"
	case "redis":
		return "io.opentelemetry.lettuce-5.1"
	}
	return "io.opentelemetry.kafka-clients-0.11"
}

// transportError is how a client names what kept it from an answer: the error's type, and its message.
func transportError(r result, st style) (kind, message string) {
	message = r.message
	if st == styleGo {
		switch r.kind {
		case failTimeout:
			return "context.deadlineExceededError", "context deadline exceeded"
		case failCancelled:
			return "*errors.errorString", "context canceled"
		case failDNS:
			return "*net.DNSError", message
		case failTLS:
			return "*tls.CertificateVerificationError", message
		case failReset:
			return "*net.OpError", "read tcp: connection reset by peer"
		}
		return "*net.OpError", message
	}
	switch r.kind {
	case failTimeout:
		return "java.net.http.HttpTimeoutException", "request timed out"
	case failCancelled:
		return "java.util.concurrent.CancellationException", "request was cancelled"
	case failDNS:
		return "java.net.UnknownHostException", message
	case failTLS:
		return "javax.net.ssl.SSLHandshakeException", "PKIX path validation failed: certificate expired"
	case failReset:
		return "java.net.SocketException", "Connection reset"
	}
	return "java.net.ConnectException", "Connection refused"
}
