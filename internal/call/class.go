// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import "strings"

// class is the family that an error's type or message belongs to, across languages.
type class uint8

const (
	classNone class = iota
	classTimeout
	classUnreachable
	classThrottled
	classCancelled
	classRejected
	classBenign // recorded as an error, yet nothing failed: no rows, cache miss, fast path skipped
)

// refine applies the family to a failure. A code stands: only its reason can become clearer.
func (c class) refine(v verdict, coded bool, role Role) verdict {
	switch c {
	case classTimeout:
		v.reason = ReasonTimeout
	case classUnreachable:
		v.reason = ReasonUnreachable
	case classThrottled:
		if !coded && role.Outgoing() {
			return throttled
		}
		v.reason = ReasonThrottled
	case classRejected:
		if !coded && role.Outgoing() {
			return rejectedCall
		}
		// The service did fail its own caller, but by its guard against something behind it.
		// A code that came over the wire speaks of a guard at the other side.
		v.reason = ReasonError
		if !role.Outgoing() {
			v.reason = ReasonRejected
		}
	case classCancelled:
		if !coded {
			return cancelled
		}
		v.reason = ReasonError
	case classBenign:
		if !coded {
			return callersFault
		}
		v.reason = ReasonError
	default:
		v.reason = ReasonError
	}
	return v
}

// pattern is a word, in lower case, that gives a family away wherever it stands.
type pattern struct {
	word  string
	class class
}

// typePatterns are for names of error types: Go, Java, Node, Python, .NET, and error.type values
// of the conventions. The first that matches anywhere wins, in the order of the list.
var typePatterns = newPatterns([]pattern{
	{"circuit_open", classRejected},
	{"circuitopen", classRejected},
	{"circuitbreaker", classRejected},
	{"circuit_breaker", classRejected},
	{"callnotpermitted", classRejected},
	{"requestnotpermitted", classRejected},
	{"erropenstate", classRejected},
	{"brokencircuit", classRejected},
	{"isolatedcircuit", classRejected},
	{"bulkheadfull", classRejected},
	{"ratelimiterrejected", classRejected},
	{"eopenbreaker", classRejected},
	{"short_circuit", classRejected},

	{"throttl", classThrottled},
	{"resource_exhausted", classThrottled},
	{"resourceexhausted", classThrottled},
	{"toomanyrequests", classThrottled},
	{"too_many_requests", classThrottled},
	{"limitexceeded", classThrottled},
	{"throughputexceeded", classThrottled},
	{"slowdown", classThrottled},

	{"timeout", classTimeout},
	{"timedout", classTimeout},
	{"timed_out", classTimeout},
	{"deadlineexceeded", classTimeout},
	{"deadline_exceeded", classTimeout},
	{"deadline exceeded", classTimeout},
	{"querycanceled", classTimeout}, // PostgreSQL 57014 by its Python name
	{"locknotavailable", classTimeout},
	{"interruptedio", classTimeout}, // okhttp

	{"connectexception", classUnreachable},
	{"connectionexception", classUnreachable},
	{"connectionerror", classUnreachable},
	{"connecterror", classUnreachable},
	{"connection_error", classUnreachable},
	{"connectionrefused", classUnreachable},
	{"connectionreset", classUnreachable},
	{"connectionaborted", classUnreachable},
	{"connectionclosed", classUnreachable},
	{"connectionfailure", classUnreachable},
	{"connection refused", classUnreachable},
	{"unknownhost", classUnreachable},
	{"noroutetohost", classUnreachable},
	{"name_resolution", classUnreachable},
	{"gaierror", classUnreachable},
	{"dnserror", classUnreachable},
	{"unreachable", classUnreachable},
	{"handshake", classUnreachable},
	{"sslexception", classUnreachable},
	{"sslerror", classUnreachable},
	{"secure_connection", classUnreachable},
	{"certificate", classUnreachable},
	{"x509", classUnreachable},
	{"tls.", classUnreachable},
	{"brokenpipe", classUnreachable},
	{"broken pipe", classUnreachable},
	{"econn", classUnreachable},
	{"enotfound", classUnreachable},
	{"ehost", classUnreachable},
	{"enet", classUnreachable},
	{"epipe", classUnreachable},
	{"eai_", classUnreachable},
	{"und_err_socket", classUnreachable},
	{"closedchannel", classUnreachable},
	{"prematureclose", classUnreachable},
	{"nohttpresponse", classUnreachable},
	{"response_ended", classUnreachable},
	{"proxyerror", classUnreachable},
	{"remotedisconnected", classUnreachable},
	{"disconnect", classUnreachable},
	{"communicationsexception", classUnreachable},
	{"interfaceerror", classUnreachable},
	{"brokernotavailable", classUnreachable},
	{"serviceunavailable", classUnreachable},
	{"badconn", classUnreachable},

	{"cancel", classCancelled},
	{"aborterror", classCancelled},
	{"abort_err", classCancelled},
}, typeDetails)

// messagePatterns are for texts written for people. They are longer, since texts say more by chance.
var messagePatterns = newPatterns([]pattern{
	{"driver: skip fast-path", classBenign},
	{"no rows in result set", classBenign},
	{"redis: nil", classBenign},
	{"record not found", classBenign},

	{"circuit breaker", classRejected},
	{"circuitbreaker", classRejected},
	{"short-circuited", classRejected},
	{"breaker is open", classRejected},
	{"circuit is open", classRejected},

	// Go's http.Client.Timeout ends a request either way; a context's end says "context canceled".
	{"net/http: request canceled", classTimeout},
	{"client.timeout exceeded", classTimeout},
	// Before the words about connections: a caller that gives up while connecting says both.
	{"context canceled", classCancelled},
	{"operation was canceled", classCancelled},
	{"deadline exceeded", classTimeout},
	{"timeout", classTimeout},
	{"timed out", classTimeout},
	{"timed-out", classTimeout},
	{"canceling statement due to", classTimeout},

	{"too many connections", classThrottled},
	{"too many clients", classThrottled},
	{"too many requests", classThrottled},
	{"connection slots", classThrottled},
	{"rate limit", classThrottled},
	{"rate exceeded", classThrottled},
	{"resource exhausted", classThrottled},
	{"throttl", classThrottled},
	{"quota exceeded", classThrottled},

	{"connection refused", classUnreachable},
	{"connection reset", classUnreachable},
	{"connection closed", classUnreachable},
	{"connection was closed", classUnreachable},
	{"closed the connection", classUnreachable},
	{"connection aborted", classUnreachable},
	{"connection error", classUnreachable},
	{"connection attempt failed", classUnreachable},
	{"closed network connection", classUnreachable},
	{"conn closed", classUnreachable},
	{"bad connection", classUnreachable},
	{"failed to connect", classUnreachable},
	{"unable to connect", classUnreachable},
	{"could not connect", classUnreachable},
	{"error while dialing", classUnreachable},
	{"no connection", classUnreachable},
	{"io exception", classUnreachable},
	{"no such host", classUnreachable},
	{"no route to host", classUnreachable},
	{"name or service not known", classUnreachable},
	{"name resolution", classUnreachable},
	{"getaddrinfo", classUnreachable},
	{"unreachable", classUnreachable},
	{"broken pipe", classUnreachable},
	{"unexpected eof", classUnreachable},
	{"socket hang up", classUnreachable},
	{"econnrefused", classUnreachable},
	{"econnreset", classUnreachable},
	{"enotfound", classUnreachable},
	{"tls handshake", classUnreachable},
	{"tls: ", classUnreachable},
	{"ssl handshake", classUnreachable},
	{"x509", classUnreachable},
	{"certificate", classUnreachable},
	{"shutting down", classUnreachable},
	{"the database system is", classUnreachable},

	{"was cancelled", classCancelled},
	{"was canceled", classCancelled},
	{"was aborted", classCancelled},
}, messageDetails)

// classOfType returns the family of an error type, classNone when its name tells none for sure. Like classOfMessage
// it sets detail, unless that is known, by what the name says of it.
func classOfType(s string, detail *Detail) class {
	if s == "" || weakClassOfType(s) != classNone {
		return classNone
	}
	return typePatterns.find(s, detail)
}

// weakClassOfType knows types that wrap anything: their family counts when nothing else tells one.
func weakClassOfType(s string) class {
	switch s {
	case "*url.Error", "*net.OpError", "net.Error", "EOF", "io.EOF", "java.net.SocketException", "java.io.IOException",
		"System.Net.Http.HttpRequestException", "System.Net.Sockets.SocketException", "System.IO.IOException",
		"java.sql.SQLTransientConnectionException", "psycopg.OperationalError", "psycopg2.OperationalError", "OperationalError", "*pgconn.ConnectError":
		return classUnreachable
	case "System.Threading.Tasks.TaskCanceledException", "System.OperationCanceledException", "AbortError":
		return classCancelled // .NET and browsers raise them for timeouts, too
	}
	return classNone
}

// classOfMessage returns the family of a text; classNone when it gives nothing away.
func classOfMessage(s string, detail *Detail) class {
	switch s {
	case "":
		return classNone
	case "EOF", "io: EOF":
		return classUnreachable
	}
	// Go puts the URL first (Get "http://...": dial tcp ...), and a URL may contain any word.
	if i := strings.Index(s, ` "http`); i >= 0 && i < 8 {
		if j := strings.Index(s[i+2:], `": `); j >= 0 {
			s = s[i+2+j+3:]
		}
		if s == "EOF" {
			return classUnreachable
		}
	}
	return messagePatterns.find(s, detail)
}
