// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

// Role is a span's kind: which side of a call the span describes.
type Role uint8

const (
	RoleInternal Role = iota
	RoleServer
	RoleClient
	RoleProducer
	RoleConsumer
)

// Outgoing says that the span describes the caller's side of a call.
func (r Role) Outgoing() bool { return r == RoleClient || r == RoleProducer }

// Incoming says that the span describes the callee's side of a call.
func (r Role) Incoming() bool { return r == RoleServer || r == RoleConsumer }

// Protocol is the family of conventions that the span follows.
type Protocol uint8

const (
	ProtocolNone Protocol = iota
	ProtocolHTTP
	ProtocolRPC
	ProtocolDatabase
	ProtocolMessaging
)

// Outcome is what a call means to a circuit breaker.
type Outcome uint8

const (
	// OK: the callee did its work.
	OK Outcome = iota
	// Fail: the callee, or the way to it, did not (5xx, unavailable, timeout, ...).
	Fail
	// Throttled: the callee refused for want of capacity (429, RESOURCE_EXHAUSTED). Counts as a failure.
	Throttled
	// Ignored: says nothing about the callee (4xx, constraint violations, cancelled, rejected by a breaker).
	Ignored
)

// Bad says that the outcome counts against the callee.
func (o Outcome) Bad() bool { return o == Fail || o == Throttled }

// Reason refines an Outcome that is not OK.
type Reason uint8

const (
	ReasonNone Reason = iota
	// ReasonError: the callee answered with an error.
	ReasonError
	// ReasonTimeout: the caller or a deadline gave up waiting.
	ReasonTimeout
	// ReasonUnreachable: no connection: refused, reset, no such host, TLS handshake.
	ReasonUnreachable
	// ReasonThrottled: refused for want of capacity. With Fail: a database out of connections, memory
	// or disk. With Ignored: a server span that answered 429, as it was told to.
	ReasonThrottled
	// ReasonCancelled: the caller cancelled; nothing is known about the callee.
	ReasonCancelled
	// ReasonRejected: a breaker or guard on the caller's side cut the call (Ignored). On a span that
	// is not outgoing, with Fail: the service failed its caller because its own guard was closed.
	ReasonRejected
	// ReasonClient: the caller's own fault (4xx, invalid argument, constraint violated), or recorded
	// as an error though nothing failed (no rows, cache miss).
	ReasonClient
)

// Detail refines why a call did not work, where something says so. It changes neither Outcome nor Reason.
type Detail uint8

const (
	DetailNone Detail = iota
	// DetailDNS: the name of the callee was not resolved.
	DetailDNS
	// DetailTLS: no trust between the two: a certificate, or the handshake.
	DetailTLS
	// DetailAuth: the caller was not known, or not allowed to do this.
	DetailAuth
)

// NodeKind is the kind of a node in the service graph.
type NodeKind uint8

const (
	NodeUnknown NodeKind = iota
	NodeService
	NodeDatabase
	NodeMessaging
	NodeExternal
)

// Resource is who emitted a span or a log record.
type Resource struct {
	Namespace   string
	Service     string // empty when the resource names none (absent or unknown_service*)
	Instance    string
	Version     string
	Environment string
	Host        string // host.name, else k8s.node.name
	Zone        string // cloud.availability_zone
}

// Peer is what an outgoing (or a messaging) span says of the other side, in raw parts, so that
// the hot path concatenates nothing. Which parts are set depends on Kind:
//
//	NodeService:   Namespace (may be empty), Name; Address and Port when said
//	NodeDatabase:  System, Name (db.namespace, empty or an index for systems that only number them), Address
//	NodeMessaging: System, Name (destination, empty when it is temporary), Address
//	NodeExternal:  Address, Port: a service that names itself only by address until an alias is learned
//	NodeUnknown:   nothing is known
//
// Outgoing spans have a peer; of the others only internal database spans (the database) and consumers
// of messages (the destination) do.
type Peer struct {
	Kind      NodeKind
	Namespace string
	System    string
	Name      string
	Address   string
	Port      int32 // 0 when unknown
	// Instance is the network peer (address of one replica) where it differs from Address; its port.
	Instance     string
	InstancePort int32
}

// Operation names what was asked, in low cardinality: a verb and what it is applied to
// ("GET" "/orders/{id}", "" "shop.Orders/Place", "SELECT" "stock", "send" "orders").
// Either part may be empty. The verb of messaging is one of send, receive, process, settle and create,
// or what a system calls its own; a CLIENT span with receive polls, it calls no service.
type Operation struct {
	Verb   string
	Target string
}

// Link is a span link: the other span's ids.
type Link struct {
	TraceID [16]byte
	SpanID  uint64
}

// Call is one span as plain facts. Strings point into the telemetry they were read from:
// keep a clone, never the string.
type Call struct {
	TraceID  [16]byte
	SpanID   uint64 // big endian value of the 8 bytes
	ParentID uint64 // 0: no parent
	Start    int64  // unix nanoseconds
	End      int64  // unix nanoseconds, >= Start

	Resource int32 // index into Batch.Resources
	// Where the span stands in its batch, for annotating it.
	ResourceSpans, ScopeSpans, Span int32

	Role      Role
	Protocol  Protocol
	Outcome   Outcome
	Reason    Reason
	Attempt   uint8  // resends so far as the span itself says (http.request.resend_count); 0: first or not said
	Detail    Detail // DetailNone when nothing says more, and on a call that is OK, cancelled or rejected
	Remote    bool   // the parent is known to be in another process (span flags), false when not said
	HasParent bool

	Operation Operation
	Peer      Peer
	ErrorType string // error.type, exception.type, gRPC or SQLSTATE code; empty when not said

	Weight float64 // adjusted count, >= 1: how many spans this one stands for (head sampling)
	Links  []Link  // at most MaxLinks; owned by the Batch
	Group  string  // messaging consumer group
	// Partition of a messaging destination, a number as a rule; empty when not said.
	Partition string
}

// Duration is End-Start in nanoseconds.
func (c *Call) Duration() int64 { return c.End - c.Start }

// MaxLinks bounds the links read of one span; those beyond are counted as SkipLinks and left alone.
const MaxLinks = 8

// Skip says why a span, or a part of one, was left out of the analysis. It is forwarded all the same.
type Skip uint8

const (
	SkipNoIDs      Skip = iota // trace id or span id is zero
	SkipNoService              // the resource names no service
	SkipNegative               // end before start
	SkipNoTime                 // start or end is zero, or beyond the range of int64 nanoseconds
	SkipSelfParent             // the span is its own parent
	SkipLinks                  // links beyond MaxLinks (the span itself is used)
	SkipWrongType              // an attribute of a wrong type (the attribute is ignored, the span is used)
	NumSkips       = iota
)

// Drops says that a span with this Skip is not analysed at all.
func (s Skip) Drops() bool { return s < SkipLinks }

// String is the value of the `reason` attribute in self-telemetry.
func (s Skip) String() string {
	return [...]string{"no_ids", "no_service_name", "end_before_start", "no_time", "self_parented", "too_many_links", "wrong_type"}[s]
}
