// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package decision

import (
	"fmt"
	"strconv"
	"time"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

// Explain tells why a breaker made its last transition; because is the one that opened it where that is asked for.
func Explain(cfg *circuit.Config, last, because circuit.Transition) string {
	return Rule(cfg, last.Reason, &because.Evidence)
}

// Rule tells a reason with its numbers.
func Rule(cfg *circuit.Config, why circuit.Reason, ev *circuit.Sums) string {
	counted := fmt.Sprintf("%s of %s failed", percent(ev.Ratio()), calls(ev.Calls))
	if ev.Bad == 0 {
		counted = fmt.Sprintf("none of %s failed", calls(ev.Calls))
	}
	if ev.Throttled > 0 {
		counted += fmt.Sprintf(" (%d throttled)", ev.Throttled)
	}
	switch why {
	case circuit.FailureRate, circuit.FailureCount:
		return fmt.Sprintf("%s within %v", counted, time.Duration(cfg.Window))
	case circuit.FastFailureRate:
		return fmt.Sprintf("%s within %v", counted, time.Duration(cfg.FastWindow))
	case circuit.Consecutive:
		return fmt.Sprintf("%d or more failed one after the other", cfg.Consecutive)
	case circuit.FailureLoad:
		return fmt.Sprintf("%s, and these took %s of the time spent in calls", counted, percent(ev.BusyRatio()))
	case circuit.SlowRate:
		return fmt.Sprintf("%s of %s were far slower than usual within %v", percent(ev.SlowRatio()), calls(ev.Calls), time.Duration(cfg.Window))
	case circuit.OpenElapsed:
		return fmt.Sprintf("calls that start from now on are verified, after it was open because %s", counted)
	case circuit.StillFailing, circuit.Recovered:
		return fmt.Sprintf("%s while it was verified", counted)
	case circuit.ProbeTimeout:
		return "too few calls came to verify it"
	case circuit.Forgotten:
		return "there were no calls for so long that the state meant nothing any more"
	case circuit.Manual:
		return "the configuration says so"
	}
	return ""
}

func calls(n uint32) string {
	if n == 1 {
		return "1 call"
	}
	return strconv.FormatUint(uint64(n), 10) + " calls"
}

// percent rounds to whole percents, but never to a false 0 or 100.
func percent(ratio float64) string {
	p := 100 * ratio
	switch {
	case p > 0 && p < 0.5:
		return "<1 %"
	case p < 100 && p >= 99.5:
		return ">99 %"
	}
	return strconv.FormatFloat(p, 'f', 0, 64) + " %"
}
