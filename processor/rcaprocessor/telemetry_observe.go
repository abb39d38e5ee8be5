// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor // import "github.com/firebreak-otel/firebreak/processor/rcaprocessor"

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// pairingPeriod is how far back the pairing ratio looks at the least; at most it is twice as far.
const pairingPeriod = 5 * time.Minute

// pairing is how many calls to services were seen answered, and how many not, of late.
type pairing struct {
	at        time.Time // when latest was taken
	now       pairs
	latest    pairs // as of the beginning of this period
	beginning pairs // of the one before
}

// pairs are counts since the start.
type pairs struct{ answered, not int64 }

func (p *pairing) note(at time.Time, answered, not int64) {
	p.now = pairs{answered, not}
	switch {
	case p.at.IsZero():
		p.at = at
	case at.Sub(p.at) >= pairingPeriod:
		p.at, p.beginning, p.latest = at, p.latest, p.now
	}
}

// ratio returns false when nothing was called.
func (p *pairing) ratio() (float64, bool) {
	answered, not := p.now.answered-p.beginning.answered, p.now.not-p.beginning.not
	if answered+not <= 0 {
		return 0, false
	}
	return float64(answered) / float64(answered+not), true
}

func (t *telemetry) observePairing(_ context.Context, o metric.Float64Observer) error {
	t.mu.Lock()
	p := t.pairs
	t.mu.Unlock()
	if r, ok := p.ratio(); ok {
		o.Observe(r, t.with("", ""))
	}
	return nil
}

func (t *telemetry) observeTime(_ context.Context, o metric.Float64Observer) error {
	t.mu.Lock()
	busy := t.busy
	t.mu.Unlock()
	o.Observe(busy.Seconds(), t.with("", ""))
	return nil
}

func (t *telemetry) observeSymptoms(_ context.Context, o metric.Int64Observer) error {
	s, _ := t.read()
	o.Observe(s.suspected, t.with(keyLevel, "suspected"))
	o.Observe(s.felt, t.with(keyLevel, "open"))
	return nil
}

func (t *telemetry) observeForgotten(_ context.Context, o metric.Int64Observer) error {
	s, _ := t.read()
	t.each(o, keyForgotten, "node", s.counts.Idle.Nodes)
	t.each(o, keyForgotten, "operation", s.counts.Idle.Ops)
	t.each(o, keyForgotten, "replica", s.counts.Idle.Replicas)
	t.each(o, keyForgotten, "edge", s.counts.Idle.Edges)
	return nil
}

func (t *telemetry) observeLogsRead(_ context.Context, o metric.Int64Observer) error {
	s, _ := t.read()
	t.each(o, keyIDs, "yes", s.counts.LogsOfSpans)
	t.each(o, keyIDs, "no", s.counts.LogsOfServices)
	return nil
}
