// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package storm finds retry storms: an edge on which retries are beyond their budget while little of it succeeds; and
// the metastable state, in which the retries keep the trouble alive after its cause is gone (Bronson et al., HotOS
// 2021). It knows no clock and no telemetry.
package storm

import (
	"math"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/retry"
)

// Recommended is the share of first attempts that may be retried, as a storm's events recommend it: the 10 % that
// the Google SRE book gives a client.
const Recommended = 0.1

// Config is how storms are judged. Ratios are 0..1. Shared by all detectors; read only.
type Config struct {
	// Window is the time that Look.Window sums up, in nanoseconds.
	Window int64
	// Budget is the share of first attempts that may be retried before it is a storm; MinPerSecond retries a second
	// may, however few calls there are. (20 % and 3: Envoy's retry budget.)
	Budget       float64
	MinPerSecond float64
	// A storm needs Rising of the attempts to fail and their share to grow, by Growth since the lowest of the last
	// one to two windows, or Failing of them to fail.
	Rising, Growth, Failing float64
	// Goodput below this share of what is usual is low.
	Goodput float64
	// Metastable is the amplification above which retries sustain the trouble when its cause is gone.
	Metastable float64
	// Patience is how many windows a state must last: before a storm has ended, and before it is metastable.
	Patience float64
}

// Default is the configuration for sums over window nanoseconds.
func Default(window int64) Config {
	return Config{
		Window: window, Budget: 0.2, MinPerSecond: 3,
		Rising: 0.2, Growth: 0.1, Failing: 0.5, Goodput: 0.9,
		Metastable: 1.5, Patience: 2,
	}
}

// Sums are counts of what callers did on an edge. They merge by addition.
type Sums struct {
	// Calls are logical calls, that is first attempts; Attempts are those and the Retries.
	Calls, Attempts, Retries uint32
	// OK are the logical calls that succeeded in the end, Bad the attempts that failed.
	OK, Bad uint32
}

func (s *Sums) failures() float64 {
	if s.Attempts == 0 {
		return 0
	}
	return float64(s.Bad) / float64(s.Attempts)
}

func (s *Sums) amplification() float64 {
	return retry.Amplification(uint64(s.Calls), uint64(s.Attempts))
}

// Look is what a detector is shown of its edge, about once a second of event time.
type Look struct {
	Now int64 // unix nanoseconds of event time, above 0
	// Window sums up the last Config.Window; Step what was counted since the Look before, each call once (at the first
	// Look: the window). Calls that come late belong in both. Show no window of which a part was not seen: its goodput
	// would be low.
	Window, Step Sums
	// UsualOK is how many logical calls a second succeed at health; 0: not known.
	UsualOK float64
	// DeeperHealthy: the edge that caused the trouble is closed again.
	DeeperHealthy bool
}

// Kind is what happened.
type Kind uint8

const (
	// None: nothing did.
	None Kind = iota
	// Started: retries are beyond budget, more calls fail, fewer succeed than usual.
	Started
	// Metastable: the cause is healthy again and the storm goes on by itself. Once in a storm.
	Metastable
	// Ended: there was no storm any more for Config.Patience windows.
	Ended
)

// Event is what happened, with the numbers of the storm's life so far. The life begins with the first and ends with
// the last Look whose Step was beyond budget: what was well before and after does not dilute it.
type Event struct {
	Kind Kind
	// Since and Until are the begin and the end of the life, in unix nanoseconds of event time.
	Since, Until int64
	// Calls, Attempts and OK are its totals: logical calls, attempts, and logical calls that succeeded.
	Calls, Attempts, OK uint64
	// Amplification is Attempts by Calls, Peak the largest in one window; 0 without calls.
	Amplification, Peak float64
	// FailureRatio (0..1, of attempts) and Goodput (successful logical calls a second) are of the last window; Usual
	// is the goodput at health, 0 when that is not known.
	FailureRatio, Goodput, Usual float64
	// Budget is the share of first attempts that should be retried at most: Recommended.
	Budget float64
}

type totals struct{ calls, attempts, ok uint64 }

func (t *totals) add(o totals) {
	t.calls += o.calls
	t.attempts += o.attempts
	t.ok += o.ok
}

// Detector is the state of one edge. The zero value is calm and has seen nothing. About 120 bytes.
type Detector struct {
	last                 int64 // the last Look; 0: none yet
	since, over, healthy int64 // begin of the life, last Step beyond budget, last Look that was not metastable
	held                 int64 // the last Look at which there was a storm
	life, tail           totals
	peak                 float64
	lowAt                int64
	low, before          float32 // lowest failure ratio of this window and of the one before it
	storm, said          bool
}

// Storm says that there is one.
func (d *Detector) Storm() bool { return d.storm }

// Idle says that the detector knows nothing that a new one would not: it may be let go.
func (d *Detector) Idle() bool { return !d.storm && d.since == 0 }

// Move shifts the detector's time by so many nanoseconds: the clock was wrong.
func (d *Detector) Move(by int64) {
	for _, t := range []*int64{&d.last, &d.since, &d.over, &d.healthy, &d.held, &d.lowAt} {
		if *t != 0 {
			*t += by
		}
	}
}

// Look takes the next look and says what happened. One that is not later than the last is left alone.
func (d *Detector) Look(cfg *Config, l *Look) Event {
	if l.Now <= d.last {
		return Event{}
	}
	step := cfg.Window
	if d.last != 0 {
		step = l.Now - d.last
	}
	ratio := l.Window.failures()
	rising := d.rising(cfg, l.Now, ratio)
	d.last = l.Now
	d.live(cfg, l, step)

	goodput := float64(l.Window.OK) / seconds(cfg.Window)
	low := goodput < cfg.Goodput*l.UsualOK || l.UsualOK <= 0 && ratio >= cfg.Failing
	failing := ratio >= cfg.Failing || ratio >= cfg.Rising && rising
	kind := None
	switch {
	case !d.storm:
		if d.since != 0 && low && failing && beyond(&l.Window, cfg.Budget, cfg.MinPerSecond, cfg.Window) {
			d.storm, d.held, d.healthy = true, l.Now, l.Now
			kind = Started
		}
	case d.holds(cfg, l, ratio, low):
		d.held = l.Now
		kind = d.metastable(cfg, l, low)
	case float64(l.Now-d.held) >= cfg.Patience*float64(cfg.Window):
		kind = Ended
	}
	if kind == None {
		return Event{}
	}
	e := Event{
		Kind: kind, Since: d.since, Until: d.over,
		Calls: d.life.calls, Attempts: d.life.attempts, OK: d.life.ok,
		Amplification: retry.Amplification(d.life.calls, d.life.attempts), Peak: d.peak,
		FailureRatio: ratio, Goodput: goodput, Usual: l.UsualOK, Budget: Recommended,
	}
	if kind == Ended {
		*d = Detector{last: d.last, lowAt: d.lowAt, low: d.low, before: d.before}
	}
	return e
}

// holds is easier to meet than what starts a storm, so that one does not come and go: retries beyond half the budget,
// and either half as many failures or low goodput.
func (d *Detector) holds(cfg *Config, l *Look, ratio float64, low bool) bool {
	return beyond(&l.Window, cfg.Budget/2, cfg.MinPerSecond/2, cfg.Window) && (low || ratio >= cfg.Rising/2)
}

func (d *Detector) metastable(cfg *Config, l *Look, low bool) Kind {
	if !l.DeeperHealthy || !low || l.Window.amplification() <= cfg.Metastable {
		d.healthy = l.Now
		return None
	}
	if d.said || float64(l.Now-d.healthy) <= cfg.Patience*float64(cfg.Window) {
		return None
	}
	d.said = true
	return Metastable
}

// live counts the storm's life, or that of what may become one. What comes after the last step beyond budget waits
// in the tail until another one shows that it was not over.
func (d *Detector) live(cfg *Config, l *Look, step int64) {
	now := totals{uint64(l.Step.Calls), uint64(l.Step.Attempts), uint64(l.Step.OK)}
	switch {
	case beyond(&l.Step, cfg.Budget, cfg.MinPerSecond, step):
		if d.since == 0 {
			d.since = l.Now - step
		}
		d.life.add(d.tail)
		d.life.add(now)
		d.tail, d.over = totals{}, l.Now
	case d.since == 0:
		return
	case !d.storm && l.Now-d.over > cfg.Window:
		d.since, d.over, d.life, d.tail, d.peak = 0, 0, totals{}, totals{}, 0
		return
	default:
		d.tail.add(now)
	}
	d.peak = math.Max(d.peak, l.Window.amplification())
}

// rising says whether the failure ratio is above the lowest of the last one to two windows by more than noise.
func (d *Detector) rising(cfg *Config, now int64, ratio float64) bool {
	if r := float32(ratio); d.last == 0 {
		d.lowAt, d.low, d.before = now, r, r
	} else if now-d.lowAt >= cfg.Window {
		d.lowAt, d.low, d.before = now, r, d.low
	} else {
		d.low = min(d.low, r)
	}
	return ratio >= float64(min(d.low, d.before))+cfg.Growth
}

// beyond says that retries are more than a share of the first attempts and than so many a second.
func beyond(s *Sums, share, perSecond float64, time int64) bool {
	least := uint32(math.Min(perSecond*seconds(time), math.MaxUint32))
	return s.Retries > retry.Budget{Ratio: share, Minimum: least}.Limit(s.Calls)
}

func seconds(ns int64) float64 { return float64(ns) / 1e9 }
