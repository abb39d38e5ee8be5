// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/edge"
)

// grpcCodes are the numbers of the names of gRPC's status codes.
var grpcCodes = map[string]int64{
	"OK": 0, "CANCELLED": 1, "UNKNOWN": 2, "INVALID_ARGUMENT": 3, "DEADLINE_EXCEEDED": 4, "NOT_FOUND": 5,
	"ALREADY_EXISTS": 6, "PERMISSION_DENIED": 7, "RESOURCE_EXHAUSTED": 8, "FAILED_PRECONDITION": 9, "ABORTED": 10,
	"OUT_OF_RANGE": 11, "UNIMPLEMENTED": 12, "INTERNAL": 13, "UNAVAILABLE": 14, "DATA_LOSS": 15, "UNAUTHENTICATED": 16,
}

// outcome is what such calls are for the breaker: fail when they open it, ok or ignored when they don't.
func outcome(t *testing.T, write func(ptrace.Span)) string {
	const calls = 100
	s := newScene(t, nil)
	s.every(100*time.Millisecond, 20*time.Second, func(int) { s.idle() })
	before := s.result(edge.Counted)
	s.every(50*time.Millisecond, calls*50*time.Millisecond, func(int) { write(s.call("orders", "o1", "stock", false)) })
	switch {
	case s.open():
		return "fail"
	case s.result(edge.Ignored) == calls:
		return "ignored"
	case s.result(edge.Counted) == before+calls:
		return "ok"
	}
	return "neither counted nor ignored"
}

func sameOutcome(t *testing.T, want string, write func(ptrace.Span)) error {
	if got := outcome(t, write); got != want {
		return fmt.Errorf("is %s, must be %s", got, want)
	}
	return nil
}

// H01, H05, H06
func conformSpan(t *testing.T, c telemetryCase) error {
	given := read[struct {
		Kind, Status string
		Attrs        map[string]any
	}](t, c.Given)
	return sameOutcome(t, read[string](t, c.Expect), func(span ptrace.Span) {
		span.SetKind(spanKinds[given.Kind])
		if given.Status == "ERROR" {
			span.Status().SetCode(ptrace.StatusCodeError)
		}
		for k, v := range given.Attrs {
			if n, ok := v.(float64); ok && n == math.Trunc(n) {
				span.Attributes().PutInt(k, int64(n))
			} else {
				span.Attributes().PutStr(k, fmt.Sprint(v))
			}
		}
	})
}

var spanKinds = map[string]ptrace.SpanKind{
	"CLIENT": ptrace.SpanKindClient, "SERVER": ptrace.SpanKindServer, "INTERNAL": ptrace.SpanKindInternal,
	"PRODUCER": ptrace.SpanKindProducer, "CONSUMER": ptrace.SpanKindConsumer,
}

// H02
func conformHTTP(t *testing.T, c telemetryCase) error {
	return pairs(t, c, func(t *testing.T, status int, want string) error {
		return sameOutcome(t, want, func(span ptrace.Span) { fail(span, fmt.Sprint(status)) })
	})
}

// H03
func conformGRPC(t *testing.T, c telemetryCase) error {
	return pairs(t, c, func(t *testing.T, code, want string) error {
		for _, key := range []string{"rpc.status_code", "rpc.response.status_code", "rpc.grpc.status_code"} {
			err := sameOutcome(t, want, func(span ptrace.Span) {
				span.Attributes().PutStr("rpc.system", "grpc")
				if code != "OK" {
					span.Status().SetCode(ptrace.StatusCodeError)
				}
				if key == "rpc.grpc.status_code" {
					span.Attributes().PutInt(key, grpcCodes[code])
				} else {
					span.Attributes().PutStr(key, code)
				}
			})
			if err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
		return nil
	})
}

// H04
func conformSQLState(t *testing.T, c telemetryCase) error {
	return pairs(t, c, func(t *testing.T, state, want string) error {
		return sameOutcome(t, want, func(span ptrace.Span) {
			span.Status().SetCode(ptrace.StatusCodeError)
			span.Attributes().PutStr("db.system.name", "postgresql")
			span.Attributes().PutStr("db.response.status_code", state)
		})
	})
}

// H09
func conformWeights(t *testing.T, c telemetryCase) error {
	return pairs(t, c, func(t *testing.T, th *string, want float64) error {
		write := func(span ptrace.Span) {
			if th != nil {
				span.TraceState().FromRaw("vendor=x,ot=rv:abcdef00000000;th:" + *th)
			}
		}
		s := newScene(t, nil)
		write(s.call("orders", "o1", "stock", false))
		var b call.Batch
		b.Read(s.td)
		if got := b.Calls[0].Weight; math.Abs(got-want) > want/1000 {
			return fmt.Errorf("counts %v, must count %v", got, want)
		}
		// The breaker's ratio has it so as well: for each call, a third of what it stands for goes well.
		s.begin()
		s.every(100*time.Millisecond, 20*time.Second, func(int) { s.idle() })
		oks := 0.0
		s.every(50*time.Millisecond, 20*time.Second, func(int) {
			write(s.call("orders", "o1", "stock", true))
			for oks += want / 3; oks >= 1; oks-- {
				s.call("orders", "o1", "stock", false)
			}
		})
		told := s.told("", "orders->stock")
		if len(told) == 0 {
			return errors.New("nothing is told of so many failures")
		}
		if ratio := told[0].attrs[keyFailureRatio].(float64); math.Abs(ratio-0.75) > 0.1 {
			return fmt.Errorf("the breaker's ratio is %v, must be near 0.75", ratio)
		}
		return nil
	})
}

// H10
func conformMinimum(t *testing.T, c telemetryCase) error {
	given := read[struct {
		Spans []struct {
			N           int
			Th, Outcome string
		}
		MinimumCalls int `json:"min_calls"`
	}](t, c.Given)
	s := newScene(t, func(cfg *Config) { cfg.MinimumCalls, cfg.Fast.MinimumCalls = given.MinimumCalls, given.MinimumCalls })
	s.every(100*time.Millisecond, 20*time.Second, func(int) { s.idle() })
	for _, group := range given.Spans {
		for range group.N {
			s.at += time.Millisecond
			span := s.call("orders", "o1", "stock", group.Outcome == "fail")
			if group.Th != "" {
				span.TraceState().FromRaw("ot=th:" + group.Th)
			}
		}
	}
	s.every(100*time.Millisecond, 3*time.Second, func(int) { s.idle() })
	return sameState(s, "orders->stock", read[string](t, c.Expect))
}

// sameState compares the state; what a case adds in brackets is for its runner.
func sameState(s *scene, name, want string) error {
	state, _, _ := strings.Cut(want, " ")
	if got := s.state(name); got != state {
		return fmt.Errorf("%s is %s, must be %s", name, got, state)
	}
	return nil
}
