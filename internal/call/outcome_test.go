// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// TestErrorTypes: what error types of the languages mean on a client span without any code.
func TestErrorTypes(t *testing.T) {
	for want, types := range map[verdict][]string{
		failedTimeout: {
			"timeout", "context.deadlineExceededError", "context.DeadlineExceeded", "context deadline exceeded", "*http.httpError.timeout", "os.ErrDeadlineExceeded.deadline exceeded",
			"java.net.SocketTimeoutException", "java.net.http.HttpTimeoutException", "io.netty.handler.timeout.ReadTimeoutException", "java.io.InterruptedIOException",
			"java.util.concurrent.TimeoutException", "com.mysql.cj.jdbc.exceptions.MySQLTimeoutException", "ETIMEDOUT", "ESOCKETTIMEDOUT", "UND_ERR_HEADERS_TIMEOUT",
			"TimeoutError", "asyncio.TimeoutError", "requests.exceptions.ReadTimeout", "httpx.ConnectTimeout", "psycopg2.errors.QueryCanceled", "System.TimeoutException",
			"StackExchange.Redis.RedisTimeoutException", "Polly.Timeout.TimeoutRejectedException",
		},
		unreachable: {
			"*net.OpError", "*net.DNSError", "*url.Error", "*tls.CertificateVerificationError", "x509.UnknownAuthorityError", "driver.ErrBadConn", "EOF",
			"java.net.ConnectException", "java.net.UnknownHostException", "java.net.NoRouteToHostException", "javax.net.ssl.SSLHandshakeException", "java.nio.channels.ClosedChannelException",
			"org.apache.http.NoHttpResponseException", "reactor.netty.http.client.PrematureCloseException", "io.lettuce.core.RedisConnectionException",
			"com.mysql.cj.jdbc.exceptions.CommunicationsException", "org.apache.kafka.common.errors.DisconnectException",
			"ECONNREFUSED", "ECONNRESET", "ENOTFOUND", "EAI_AGAIN", "EPIPE", "EHOSTUNREACH", "UND_ERR_SOCKET",
			"ConnectionRefusedError", "ConnectionResetError", "requests.exceptions.ConnectionError", "socket.gaierror", "http.client.RemoteDisconnected", "psycopg.OperationalError",
			"System.Net.Http.HttpRequestException", "System.Net.Sockets.SocketException", "connection_error", "secure_connection_error", "response_ended",
		},
		throttled: {
			"ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded", "SlowDown", "TooManyRequestsException",
		},
		cancelled: {
			"context.Canceled", "java.util.concurrent.CancellationException", "AbortError", "asyncio.exceptions.CancelledError", "System.OperationCanceledException",
			"System.Threading.Tasks.TaskCanceledException", "cancelled",
		},
		rejectedCall: {
			"circuit_open", "gobreaker.ErrOpenState", "circuitbreaker.ErrOpen", "io.github.resilience4j.circuitbreaker.CallNotPermittedException",
			"io.github.resilience4j.bulkhead.BulkheadFullException", "io.github.resilience4j.ratelimiter.RequestNotPermitted", "dev.failsafe.CircuitBreakerOpenException",
			"Polly.CircuitBreaker.BrokenCircuitException", "Polly.CircuitBreaker.IsolatedCircuitException", "pybreaker.CircuitBreakerError", "EOPENBREAKER",
		},
		failed: {
			"*errors.errorString", "_OTHER", "java.lang.IllegalStateException", "ValueError", "System.InvalidOperationException", "Error",
		},
	} {
		for _, kind := range types {
			c := shape{kind: client, status: ptrace.StatusCodeError, attrs: attrs{"error.type": kind, "server.address": "x"}}.read(t)
			require.Equal(t, want, verdict{c.Outcome, c.Reason}, kind)
			require.Equal(t, kind, c.ErrorType)
			if want == rejectedCall {
				continue
			}
			// As an exception it means the same.
			c = shape{kind: client, status: ptrace.StatusCodeError, attrs: attrs{"server.address": "x"}, exception: [2]string{kind, "it failed"}}.read(t)
			require.Equal(t, want, verdict{c.Outcome, c.Reason}, kind)
			require.Equal(t, kind, c.ErrorType)
		}
	}
}

// TestMessages: what texts written for people mean when nothing else says why.
func TestMessages(t *testing.T) {
	for want, messages := range map[verdict][]string{
		failedTimeout: {
			"context deadline exceeded", `Get "http://a/b": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`, "dial tcp 10.0.0.1:80: i/o timeout", "Read timed out",
			"net/http: request canceled", "net/http: request canceled (Client.Timeout exceeded while awaiting headers)", "redis: connection pool timeout", "ERROR: canceling statement due to statement timeout", "ERROR: x (SQLSTATE 57014)", "call TIMED OUT",
		},
		unreachable: {
			"dial tcp 10.0.0.1:80: connect: connection refused", "read: connection reset by peer", "lookup x: no such host", "EOF", `Get "http://timeout/": EOF`, "unexpected EOF", "write: broken pipe",
			"x509: certificate has expired or is not yet valid", "socket hang up", "getaddrinfo ENOTFOUND x", "FATAL: the database system is starting up (SQLSTATE 57P03)", "conn closed",
			"server closed the connection unexpectedly",
		},
		throttled:    {"FATAL: sorry, too many clients already", "Rate exceeded"},
		saturated:    {"FATAL: sorry, too many clients already (SQLSTATE 53300)"},
		cancelled:    {"failed to connect to `user=u database=d`: 10.0.0.1:5432 (pg): dial error: dial tcp 10.0.0.1:5432: operation was canceled", "the task was cancelled", "context canceled", `Get "http://a/": context canceled`},
		rejectedCall: {"circuit breaker is open", "Breaker is open", "short-circuited and fallback failed"},
		callersFault: {"redis: nil", "sql: no rows in result set", "ERROR: dup (SQLSTATE 23505)"},
		failed:       {"", "boom", "Internal Server Error", "no stock"},
	} {
		for _, message := range messages {
			a := attrs{"db.system.name": "postgresql", "db.namespace": "shop"}
			c := shape{kind: client, status: ptrace.StatusCodeError, attrs: a, message: message}.read(t)
			require.Equal(t, want, verdict{c.Outcome, c.Reason}, "status %q", message)
			c = shape{kind: client, status: ptrace.StatusCodeError, attrs: a, exception: [2]string{"", message}}.read(t)
			require.Equal(t, want, verdict{c.Outcome, c.Reason}, "exception %q", message)
		}
	}
}

func TestOutcomeByKindAndStatus(t *testing.T) {
	bad, good, unset := ptrace.StatusCodeError, ptrace.StatusCodeOk, ptrace.StatusCodeUnset
	for name, tc := range map[string]struct {
		shape
		want verdict
	}{
		"client, nothing said":                        {shape{kind: client, status: unset}, verdict{}},
		"client, error without more":                  {shape{kind: client, status: bad}, failed},
		"server, error without more":                  {shape{kind: server, status: bad}, failed},
		"consumer, error without more":                {shape{kind: consumer, status: bad}, failed},
		"internal, error without more":                {shape{kind: internal, status: bad}, failed},
		"events of a good span are not looked at":     {shape{kind: client, status: unset, exception: [2]string{"timeout", "timeout"}}, verdict{}},
		"an error type without a status":              {shape{kind: client, status: unset, attrs: attrs{"error.type": "timeout"}}, failedTimeout},
		"an explicit OK outranks an error type":       {shape{kind: client, status: good, attrs: attrs{"error.type": "timeout"}}, verdict{}},
		"a code outranks an explicit OK":              {shape{kind: client, status: good, attrs: attrs{"http.response.status_code": 503}}, failed},
		"server 5xx":                                  {shape{kind: server, status: unset, attrs: attrs{"http.response.status_code": 503}}, failed},
		"server 504":                                  {shape{kind: server, attrs: attrs{"http.status_code": 504}}, failedTimeout},
		"server 501":                                  {shape{kind: server, attrs: attrs{"http.status_code": 501}}, callersFault},
		"server 404, though marked":                   {shape{kind: server, status: bad, attrs: attrs{"http.status_code": 404}}, callersFault},
		"server 408: the caller sent too slowly":      {shape{kind: server, attrs: attrs{"http.status_code": 408}}, callersFault},
		"server 429: it guards itself":                {shape{kind: server, attrs: attrs{"http.status_code": 429}}, verdict{Ignored, ReasonThrottled}},
		"server 499: the caller went away":            {shape{kind: server, attrs: attrs{"http.status_code": 499}}, cancelled},
		"client 499":                                  {shape{kind: client, status: bad, attrs: attrs{"http.status_code": 499}}, cancelled},
		"client 301":                                  {shape{kind: client, attrs: attrs{"http.status_code": 301}}, verdict{}},
		"server 500 by a timeout behind it":           {shape{kind: server, status: bad, attrs: attrs{"http.status_code": 500}, message: "context deadline exceeded"}, failedTimeout},
		"server 500 is not undone by a cancellation":  {shape{kind: server, status: bad, attrs: attrs{"http.status_code": 500}, message: "context canceled"}, failed},
		"server by its own breaker":                   {shape{kind: server, status: bad, attrs: attrs{"error.type": "circuit_open"}}, verdict{Fail, ReasonRejected}},
		"internal, breaker by exception":              {shape{kind: internal, status: bad, exception: [2]string{"gobreaker.ErrOpenState", ""}}, verdict{Fail, ReasonRejected}},
		"internal, breaker by error type":             {shape{kind: internal, status: bad, attrs: attrs{"error.type": "circuit_open"}}, verdict{Fail, ReasonRejected}},
		"client, breaker by exception":                {shape{kind: client, status: bad, exception: [2]string{"gobreaker.ErrOpenState", ""}}, rejectedCall},
		"client, hystrix by message":                  {shape{kind: client, status: bad, exception: [2]string{"com.netflix.hystrix.exception.HystrixRuntimeException", "Pay short-circuited and no fallback available."}}, rejectedCall},
		"client, hystrix that waited in vain":         {shape{kind: client, status: bad, exception: [2]string{"com.netflix.hystrix.exception.HystrixRuntimeException", "Pay timed-out and no fallback available."}}, failedTimeout},
		"client, breaker.rejected":                    {shape{kind: client, attrs: attrs{"breaker.rejected": true}}, rejectedCall},
		"client, breaker.rejected goes before a code": {shape{kind: client, status: bad, attrs: attrs{"breaker.rejected": true, "http.response.status_code": 503}}, rejectedCall},
		"code zero of SQL beside an error":            {shape{kind: client, status: bad, attrs: attrs{"db.system": "postgresql", "db.response.status_code": "00000"}}, failed},
		"code OK of RPC beside an error":              {shape{kind: client, status: bad, attrs: attrs{"rpc.system": "grpc", "rpc.grpc.status_code": 0}}, failed},
		"a gRPC number that is none":                  {shape{kind: client, status: bad, attrs: attrs{"rpc.system": "grpc", "rpc.grpc.status_code": 99}}, failed},
	} {
		t.Run(name, func(t *testing.T) {
			c := tc.read(t)
			require.Equal(t, tc.want, verdict{c.Outcome, c.Reason})
			if c.Outcome == OK {
				require.Empty(t, c.ErrorType)
			}
		})
	}
}

func TestSQLStates(t *testing.T) {
	for state, want := range map[string]verdict{
		"08006": unreachable, "57P01": unreachable, "57P03": unreachable, "53300": saturated, "53100": saturated, "57014": failedTimeout, "55P03": failedTimeout,
		"57000": failed, "58030": failed, "XX000": failed, "25006": failed, "HYT00": failedTimeout,
		"40001": callersFault, "40P01": callersFault, "23505": callersFault, "42P01": callersFault, "22001": callersFault, "28P01": callersFault, "0A000": callersFault,
	} {
		v, ok := sqlStateVerdict(state)
		require.True(t, ok, state)
		require.Equal(t, want, v, state)
	}
	for _, none := range []string{"", "0", "ERROR", "abcde", "4260", "426011", "HY000"} {
		_, ok := sqlStateVerdict(none)
		require.False(t, ok, none)
	}
}

func TestVendorCodes(t *testing.T) {
	for system, codes := range map[string]map[any]verdict{
		"mysql": {
			1040: saturated, 1205: failedTimeout, 2013: unreachable, "2002": unreachable, 1290: failed, 1062: callersFault, "08S01": unreachable, "23000": callersFault, 0: failed,
		},
		"mariadb": {"1969": failedTimeout},
		"mssql": {
			-2: failedTimeout, "1222": failedTimeout, 40501: saturated, "10928": saturated, 4060: unreachable, "40613": unreachable, 9002: failed, 2627: callersFault, 0: failed, "08001": unreachable,
		},
		"mongodb":       {50: failedTimeout, 91: unreachable, 14031: failed, "11000": callersFault, 0: failed, "x": failed},
		"redis":         {"OOM": saturated, "CLUSTERDOWN Hash slot": unreachable, "READONLY": failed, "WRONGTYPE": callersFault, "ERR": failed},
		"elasticsearch": {429: throttled, "503": failed, "404": callersFault, 200: failed},
		"cassandra":     {"0x1000": failed},
		"postgresql":    {"0": failed, 57014: failedTimeout, 53300: saturated, 23505: callersFault, "08006": unreachable},
	} {
		for code, want := range codes {
			c := shape{kind: client, status: ptrace.StatusCodeError, attrs: attrs{"db.system": system, "db.response.status_code": code}}.read(t)
			require.Equal(t, want, verdict{c.Outcome, c.Reason}, "%s %v", system, code)
		}
	}
}
