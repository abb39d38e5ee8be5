// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

// Would is the rule by which a closed breaker would open now; NoReason: none, or it is not closed, or mute still.
func (b *Breaker) Would(now int64, recent *Recent) Reason {
	if b.other != nil || now < b.closed.since {
		return NoReason
	}
	j := b.cfg.judge(recent)
	why, _ := j.rule(recent)
	return why
}

// Config is how the breaker judges.
func (b *Breaker) Config() *Config { return b.cfg }

// Configure has the breaker judge otherwise from now on.
func (b *Breaker) Configure(cfg *Config) { b.cfg = cfg }
