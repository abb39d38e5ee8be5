// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package cause

import (
	"fmt"
	"time"

	"github.com/firebreak-otel/firebreak/internal/call"
)

// row is one line of the codebook: its strength, 0..1, times its specificity is what speaks for a kind.
type row struct {
	kind        Kind
	nodes       nodes
	specificity float64
	strength    func(*Signs) float64
	why         func(*Signs) string
}

// nodes is the set of node kinds that a cause may have.
type nodes uint8

const (
	service   nodes = 1 << call.NodeService
	database  nodes = 1 << call.NodeDatabase
	messaging nodes = 1 << call.NodeMessaging
	external  nodes = 1 << call.NodeExternal
	anything        = service | database | messaging | external
	emitter         = service
	callee          = database | external
)

// Of returns the kind of cause that the signs speak for most, and why in a few words. Of two that are as strong the
// earlier in the codebook is taken.
func Of(s Signs) (kind Kind, why string) {
	best := least
	for i := range codebook {
		r := &codebook[i]
		if r.nodes&(1<<s.Node) == 0 {
			continue
		}
		if score := r.specificity * r.strength(&s); score > best {
			best, kind, why = score, r.kind, r.why(&s)
		}
	}
	if kind == Unknown {
		return Unknown, "no sign says more than the symptom"
	}
	return kind, why
}

// ramp is 0 up to from, 1 beyond to, and a straight line between.
func ramp(x, from, to float64) float64 { return min(1, max(0, (x-from)/(to-from))) }

// share is how much a share of units of work says: a fifth is little, half is all that there can be beside echoes.
func share(x float64) float64 { return ramp(x, 0.1, 0.5) }

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// when is x where a condition holds, else 0.
func when(b bool, x float64) float64 { return flag(b) * x }

func percent(x float64) string { return fmt.Sprintf("%.0f %%", 100*x) }

func span(ns int64) string {
	d := time.Duration(ns)
	if d >= 10*time.Millisecond {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}

func of(x func(*Signs) float64, what string) func(*Signs) string {
	return func(s *Signs) string { return percent(x(s)) + " of the hurt requests " + what }
}

func times(x float64, what string) string { return fmt.Sprintf("%s at %.1f times normal", what, x) }

func text(t string) func(*Signs) string { return func(*Signs) string { return t } }

func own(s *Signs) string {
	return fmt.Sprintf("own time %s -> %s (%d of %d operations)", span(s.OwnNormal), span(s.OwnNow), s.OpsOff, s.Ops)
}

func gap(s *Signs) string {
	return fmt.Sprintf("calls take %s -> %s beyond the answers, from %d of %d callers",
		span(s.GapNormal), span(s.GapNow), s.EdgesInOff, s.EdgesIn)
}
