// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"strings"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

// Rule is what the settings say of single edges.
type Rule struct {
	// Caller and Callee are patterns of names: * stands for any text, also with slashes; empty for any name.
	Caller, Callee string
	// Circuit replaces Settings.Circuit, nil: does not.
	Circuit *circuit.Config
	// State is circuit.ForcedOpen or circuit.Disabled; circuit.Closed: the breaker decides.
	State circuit.State
	// ByOperation gives each operation an edge of its own.
	ByOperation bool
}

func (t *Table) ruleFor(caller, callee string) *Rule {
	for i := range t.set.Rules {
		r := &t.set.Rules[i]
		if Matches(r.Caller, caller) && Matches(r.Callee, callee) {
			return r
		}
	}
	return nil
}

// configFor is how the edge's breaker is to judge.
func (t *Table) configFor(e *Edge) *circuit.Config {
	e.rule = t.ruleFor(e.Caller.Name, e.Callee.Name)
	switch {
	case e.rule != nil && e.rule.Circuit != nil:
		return e.rule.Circuit
	case e.Caller.Key == 0:
		return &t.crowd
	}
	return t.set.Circuit
}

// force sets the state that the rule about the edge wants, or has the breaker decide again where none wants any.
func (t *Table) force(e *Edge) {
	want, own := circuit.Closed, e.decides()
	if e.rule != nil {
		want = e.rule.State
	}
	if want == circuit.Closed && own {
		return
	}
	if own && e.Breaker.State() != circuit.Closed {
		t.open--
	}
	if tr, ok := e.Breaker.Force(t.head, want); ok {
		h := t.heat(e)
		h.Last, h.Cause = tr, tr
		t.forced = append(t.forced, e)
	}
}

// decides says that the breaker is in a state of its own choice, and not set by hand.
func (e *Edge) decides() bool {
	s := e.Breaker.State()
	return s != circuit.ForcedOpen && s != circuit.Disabled
}

// Matches says whether the pattern, in which * stands for any text, matches the whole name; an empty one matches all.
func Matches(pattern, name string) bool {
	if pattern == "" {
		return true
	}
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, first)
	for ok && star {
		first, rest, star = strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(name, first)
		}
		_, name, ok = strings.Cut(name, first)
	}
	return false
}
