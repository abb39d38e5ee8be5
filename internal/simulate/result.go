// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate // import "github.com/firebreak-otel/firebreak/internal/simulate"

// failure is how something ended; failNone is well.
type failure uint8

const (
	failNone      failure = iota
	failError             // the callee's own error: a status of 500, a code of the database
	failTimeout           // the caller's patience ended, or the deadline it was given
	failRefused           // nobody listens
	failReset             // the connection broke
	failCancelled         // the caller gave up
	failThrottled         // over a quota
	failRejected          // the request is bad, or not allowed: 4xx
	failDNS               // the name is not known
	failTLS               // the certificate is not accepted
	failShed              // the callee took no more
	failBreaker           // the caller's own breaker is open
	failPool              // no connection came free in time
)

// result is how a step, a call or an operation ended.
type result struct {
	kind    failure
	status  int    // HTTP status where the failure sets one, 0: by its kind
	code    string // code of a database, or type of an exception
	message string
	done    bool // the operation is over, though nothing failed: an early return
	answer  bool // the failure was answered by the callee, not found by the caller
}

var fine = result{}

func (r *result) ok() bool { return r.kind == failNone }

// retryable says whether a caller that retries would do so.
func (r *result) retryable() bool {
	switch r.kind {
	case failNone, failCancelled, failRejected, failBreaker, failPool:
		return false
	}
	return true
}

// httpStatus is what a server that ended so answers.
func (r *result) httpStatus() int {
	if r.status != 0 {
		return r.status
	}
	switch r.kind {
	case failNone:
		return 200
	case failTimeout:
		return 504
	case failCancelled:
		return 499
	case failThrottled:
		return 429
	case failRejected:
		return 400
	case failShed, failBreaker:
		return 503
	case failRefused, failReset, failDNS, failTLS:
		return 502
	}
	return 500
}

// grpcCode is the same as a gRPC status, by number.
func (r *result) grpcCode() int {
	switch r.httpStatus() {
	case 200:
		return 0
	case 400, 422:
		return 3
	case 402, 409:
		return 9
	case 401:
		return 16
	case 403:
		return 7
	case 404:
		return 5
	case 429:
		return 8
	case 499:
		return 1
	case 502, 503:
		return 14
	case 504:
		return 4
	}
	return 13
}

// passedOn is what an operation answers whose step failed so.
func (r result) passedOn() result {
	switch r.kind {
	case failRejected:
		if !r.answer || r.status == 402 || r.status == 404 || r.status == 409 {
			return r // its own: it refuses the request; or an answer that users are meant to get
		}
		return result{kind: failError, status: 500, code: r.code, message: r.message}
	case failThrottled:
		return result{kind: failError, status: 503, code: r.code, message: r.message}
	case failTimeout:
		return result{kind: failTimeout, status: 504, code: r.code, message: r.message}
	case failError:
		if !r.answer {
			return r // its own
		}
		return result{kind: failError, status: 502, code: r.code, message: r.message}
	}
	r.answer = false
	return r
}
