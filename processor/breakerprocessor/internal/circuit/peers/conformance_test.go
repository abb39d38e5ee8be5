// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit/conformance"
)

const (
	agree   = "agree"
	diverge = "diverge"
	missing = "n/a"
)

// subjects are the breakers that are run here. Others that have been observed stand in the cases.
var subjects = []struct {
	name string
	make func(*conformance.Case) (conformance.Subject, string)
}{
	{"firebreak", func(c *conformance.Case) (conformance.Subject, string) {
		g, err := conformance.NewGate(&c.Config)
		if err != nil {
			return nil, err.Error()
		}
		return g, ""
	}},
	{"gobreaker", newGoBreaker},
	{"failsafe", newFailsafe},
}

var observed = []string{"resilience4j", "sentinel"}

// The same cases for ours and for the peers: who agrees where. The peers must do here what was seen of them
// elsewhere, or they are not asked the same; ours must side with most of the others at least as often as any of them.
func TestConformance(t *testing.T) {
	name := os.Getenv("FIREBREAK_CONFORMANCE")
	if name == "" {
		name = filepath.Join("..", "..", "..", "testdata", "conformance.json")
	}
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	cases, err := conformance.Parse(text)
	require.NoError(t, err)

	var table strings.Builder
	fmt.Fprintf(&table, "%-5s %-10s %-10s %-10s %-13s %-10s %s\n", "case", "firebreak", "gobreaker", "failsafe", "resilience4j*", "sentinel*", "(* seen elsewhere)")
	withMost, agrees := map[string]int{}, map[string]int{}
	for _, c := range cases {
		verdicts, why := map[string]string{}, ""
		for _, s := range subjects {
			synctest.Test(t, func(t *testing.T) {
				verdicts[s.name] = agree
				subject, no := s.make(&c)
				if subject == nil {
					verdicts[s.name], why = missing, why+"  "+s.name+": "+no
					return
				}
				if err := c.Run(subject); err != nil {
					verdicts[s.name] = diverge
					why += fmt.Sprintf("  %s: %v", s.name, err)
				}
			})
			if want := c.Systems[s.name]; want != "" {
				assert.Equal(t, want, verdicts[s.name], "%s: %s is not set up as it was elsewhere", c.ID, s.name)
			}
		}
		for _, other := range observed {
			verdicts[other] = c.Systems[other]
		}
		fmt.Fprintf(&table, "%-5s %-10s %-10s %-10s %-13s %-10s%s\n", c.ID, verdicts["firebreak"], verdicts["gobreaker"], verdicts["failsafe"], verdicts["resilience4j"], verdicts["sentinel"], why)
		assert.Equal(t, agree, verdicts["firebreak"], "%s: %s", c.ID, why)
		most := majority(verdicts)
		for system, v := range verdicts {
			if v == agree {
				agrees[system]++
			}
			if most != "" && v == most {
				withMost[system]++
			}
		}
	}
	fmt.Fprintf(&table, "\n%-14s %8s %10s  of %d\n", "", "agrees", "with most", len(cases))
	for _, system := range []string{"firebreak", "gobreaker", "failsafe", "resilience4j", "sentinel"} {
		fmt.Fprintf(&table, "%-14s %8d %10d\n", system, agrees[system], withMost[system])
		assert.GreaterOrEqual(t, withMost["firebreak"], withMost[system], system)
	}
	t.Log("\n" + table.String())
}

// majority is what most of the other libraries do that can do either; "" when they are even, or can't.
func majority(verdicts map[string]string) string {
	n := 0
	for system, v := range verdicts {
		switch {
		case system == "firebreak":
		case v == agree:
			n++
		case v == diverge:
			n--
		}
	}
	switch {
	case n > 0:
		return agree
	case n < 0:
		return diverge
	}
	return ""
}
