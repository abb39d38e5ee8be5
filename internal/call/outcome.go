// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import "go.opentelemetry.io/collector/pdata/ptrace"

// verdict is an outcome with its reason. A zero reason with Fail means: not yet refined.
type verdict struct {
	outcome Outcome
	reason  Reason
}

var (
	failed        = verdict{Fail, ReasonError}
	failedTimeout = verdict{Fail, ReasonTimeout}
	throttled     = verdict{Throttled, ReasonThrottled}
	saturated     = verdict{Fail, ReasonThrottled}
	unreachable   = verdict{Fail, ReasonUnreachable}
	cancelled     = verdict{Ignored, ReasonCancelled}
	rejectedCall  = verdict{Ignored, ReasonRejected}
	callersFault  = verdict{Ignored, ReasonClient}
)

// readOutcome decides what the call means: a rejection by the caller's own breaker, then HTTP, RPC
// and database codes, then error types, then the span's status. What is written for people (events,
// messages) is looked at on bad spans only, for the reason, and for codes that stand nowhere else.
func (b *Batch) readOutcome(c *Call, r *raw, span ptrace.Span) {
	status := span.Status().Code()
	// An explicit OK outranks an error type; codes outrank it.
	errored := status == ptrace.StatusCodeError || r.errorType != "" && status != ptrace.StatusCodeOk

	if c.Role.Outgoing() && (r.rejected || errored && r.errorType != "" && classOfType(r.errorType, &c.Detail) == classRejected) {
		c.Outcome, c.Reason, c.Detail, c.ErrorType = Ignored, ReasonRejected, DetailNone, clip(r.errorType)
		return
	}
	v, coded := b.codeVerdict(c, r)
	if !coded && !errored {
		return
	}
	if !coded {
		v = verdict{Fail, ReasonNone}
	}
	if c.ErrorType == "" {
		c.ErrorType = clip(r.errorType)
	}
	if v.reason == ReasonNone || v.reason == ReasonError || v == callersFault {
		v = b.refine(c, r, span, v, coded)
	} else if v.reason == ReasonUnreachable {
		var e exception
		e.read(span.Events())
		c.readDetail(r.errorType, &e, span.Status().Message())
	}
	c.Outcome, c.Reason = v.outcome, v.reason
	c.settleDetail(r)
}

// codeVerdict judges by status codes alone; ok is false when no code settles it. A code that says
// OK does not settle it: beside a status of ERROR something else went wrong, such as the body.
func (b *Batch) codeVerdict(c *Call, r *raw) (v verdict, ok bool) {
	if n, is := r.httpStatus(c.Protocol); is && n >= 400 {
		return httpVerdict(n, c.Role), true
	}
	if r.rpcCode.rank != 0 {
		if v, ok = rpcVerdict(&r.rpcCode, r.rpcSystem.value); ok && v.outcome != OK {
			c.ErrorType = grpcName(&r.rpcCode, &b.names)
			return v, true
		}
	} else if c.Protocol == ProtocolRPC && r.errorType != "" {
		word := code{text: r.errorType, rank: 1}
		if v, ok = grpcVerdict(grpcCode(&word)); ok && v.outcome != OK {
			return v, true
		}
	}
	if c.Protocol == ProtocolDatabase {
		if v, ok = databaseVerdict(c.Peer.System, &r.dbCode); ok && v.outcome != OK {
			c.ErrorType = r.dbCode.string(&b.names)
			return v, true
		}
		// Drivers without a code of their own put the SQLSTATE into error.type only.
		word := code{text: r.errorType, rank: 1}
		if v, ok = databaseVerdict(c.Peer.System, &word); ok && v.outcome != OK {
			return v, true
		}
	}
	return verdict{}, false
}

// httpStatus is the status code of the response; some put it into error.type only.
func (r *raw) httpStatus(protocol Protocol) (int64, bool) {
	if r.httpCode.rank != 0 {
		return r.httpCode.int()
	}
	if protocol == ProtocolHTTP && len(r.errorType) == 3 {
		return parseInt(r.errorType)
	}
	return 0, false
}

// httpVerdict judges an HTTP status of 400 or more.
func httpVerdict(status int64, role Role) verdict {
	switch {
	case status == 499: // the client closed the request
		return cancelled
	case status == 501:
		return callersFault
	case status == 504:
		return failedTimeout
	case status >= 500:
		return failed
	case status == 429:
		if role == RoleServer {
			return verdict{Ignored, ReasonThrottled} // the service did what it was told to do
		}
		return throttled
	case status == 408 && role != RoleServer:
		return failedTimeout
	}
	return callersFault
}

// refine looks for what stands behind a failure. Without a code it may also turn out to be none:
// cancelled, cut by a breaker, or no failure at all.
func (b *Batch) refine(c *Call, r *raw, span ptrace.Span, v verdict, coded bool) verdict {
	class, weak := classOfType(r.errorType, &c.Detail), weakClassOfType(r.errorType)
	if v == callersFault {
		// Cloud APIs throttle with a 400 and say so in the error type.
		if class == classThrottled && c.Role.Outgoing() {
			return throttled
		}
		return v
	}
	var e exception
	e.read(span.Events())
	if c.ErrorType == "" || c.ErrorType == "_OTHER" {
		if e.kind != "" {
			c.ErrorType = clip(e.kind)
		}
	}
	message := span.Status().Message()
	if !coded && c.Protocol == ProtocolDatabase {
		if state := firstOf(sqlState(e.message), sqlState(message)); state != "" {
			if w, ok := sqlStateVerdict(state); ok && w.outcome != OK {
				c.ErrorType = state
				c.readDetail("", &e, message)
				if d := sqlStateDetail(state); d != DetailNone {
					c.Detail = d
				}
				return w
			}
		}
	}
	if class == classNone {
		class = classOfType(e.kind, &c.Detail)
	}
	if weak == classNone {
		weak = weakClassOfType(e.kind)
	}
	if class == classUnreachable { // known by a type that may wrap more than it says
		c.readDetail("", &e, message)
	}
	if class == classNone {
		class = classOfMessage(e.message, &c.Detail)
	}
	if class == classNone {
		class = classOfMessage(message, &c.Detail)
	}
	if class == classNone {
		class = weak
	}
	if class == classNone {
		v.reason = ReasonError
		return v
	}
	return class.refine(v, coded, c.Role)
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// exception is what the last exception event of a span says.
type exception struct {
	kind, message string
}

// maxEvents bounds the search for it from the end: a span with a thousand events stays cheap.
const maxEvents = 16

func (e *exception) read(events ptrace.SpanEventSlice) {
	for i := events.Len() - 1; i >= 0 && i >= events.Len()-maxEvents; i-- {
		event := events.At(i)
		if event.Name() != "exception" {
			continue
		}
		for k, v := range event.Attributes().All() {
			switch k {
			case "exception.type":
				e.kind = v.Str()
			case "exception.message":
				e.message = v.Str()
			}
		}
		return
	}
}
