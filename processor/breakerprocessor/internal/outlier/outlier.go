// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package outlier finds the few hosts of a callee that are worse than the others, and says which may be ejected.
//
// The processor uses Config.Eject alone. Ejections, the memory that whoever ejects needs, is there for the conformance
// cases (how long, forgiven when, failures in a row): the processor only advises, and ejects nothing itself.
package outlier

import "math"

// Host is what one host of a callee did in one interval.
type Host struct{ Requests, Failures uint32 }

func (h Host) success() float64 { return 100 * (1 - float64(h.Failures)/float64(h.Requests)) }

// Rule is the part that both rules have: it looks at hosts with RequestVolume requests or more, and is mute when
// these are fewer than MinimumHosts.
type Rule struct{ RequestVolume, MinimumHosts uint32 }

// Config is how hosts are judged. Percentages are 0..100.
type Config struct {
	// SuccessRate ejects a host whose success percentage is more than StdevFactor standard deviations below the
	// mean of the hosts; 0: off. The rule knows no scale: of five hosts, one at 98 % beside four at 100 % is as
	// far out as a dead one. So it lets stand what succeeds at SuccessFloor percent or more; 0: no floor.
	SuccessRate  Rule
	StdevFactor  float64
	SuccessFloor float64
	// FailurePercentage ejects a host that fails at FailureThreshold percent or more; 0: off. It finds what the
	// other rule can't: the dead one of four hosts, or two of five.
	FailurePercentage Rule
	FailureThreshold  float64
	// MaxEjected percent of all hosts are the most that may be out at once. AlwaysOne: one may, whatever its share.
	MaxEjected float64
	AlwaysOne  bool
}

// Eject returns the indexes of the hosts to eject, lowest first by rule; out is how many are out already, and are
// not among hosts.
func (c *Config) Eject(hosts []Host, out int) []int {
	var ejected []int
	gone := make([]bool, len(hosts))
	judge := func(r Rule, bad func(Host) bool) {
		for i, h := range hosts {
			if r.looksAt(h) && !gone[i] && bad(h) && c.mayEject(out+len(ejected), out+len(hosts)) {
				gone[i] = true
				ejected = append(ejected, i)
			}
		}
	}
	if c.StdevFactor > 0 && c.SuccessRate.speaks(hosts) {
		threshold := c.successThreshold(hosts)
		judge(c.SuccessRate, func(h Host) bool {
			return h.success() < threshold && (c.SuccessFloor <= 0 || h.success() < c.SuccessFloor)
		})
	}
	if c.FailureThreshold > 0 && c.FailurePercentage.speaks(hosts) {
		judge(c.FailurePercentage, func(h Host) bool {
			return 100*float64(h.Failures) >= c.FailureThreshold*float64(h.Requests)
		})
	}
	return ejected
}

// mayEject says whether one more of all hosts may go when so many are out.
func (c *Config) mayEject(out, all int) bool {
	return 100*float64(out+1) <= c.MaxEjected*float64(all) || c.AlwaysOne && out == 0
}

// successThreshold is the mean success percentage of the hosts that count, less the standard deviations.
func (c *Config) successThreshold(hosts []Host) float64 {
	var n, sum float64
	for _, h := range hosts {
		if c.SuccessRate.looksAt(h) {
			n++
			sum += h.success()
		}
	}
	mean, squares := sum/n, 0.0
	for _, h := range hosts {
		if c.SuccessRate.looksAt(h) {
			squares += (h.success() - mean) * (h.success() - mean)
		}
	}
	return mean - c.StdevFactor*math.Sqrt(squares/n)
}

func (r Rule) looksAt(h Host) bool { return h.Requests > 0 && h.Requests >= r.RequestVolume }

func (r Rule) speaks(hosts []Host) bool {
	var n uint32
	for _, h := range hosts {
		if r.looksAt(h) {
			n++
		}
	}
	return n > 0 && n >= r.MinimumHosts
}
