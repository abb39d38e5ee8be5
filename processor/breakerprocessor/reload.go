// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor // import "github.com/firebreak-otel/firebreak/processor/breakerprocessor"

import (
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/engine"
)

const (
	// parkedFor is how long what an engine learned waits for the next one. A reload takes seconds.
	parkedFor = time.Minute
	// maxParked is how many wait at most.
	maxParked = 16
)

// reloads is at package level because nothing else of ours lives through a reload: the Collector shuts every component
// down and builds all anew, factories too, in the same process.
var reloads lot

// lot is where what engines learned waits, by component ID, while the Collector reloads. Each is handed to one engine
// at most. What waited too long goes when somebody parks or takes the next time.
type lot struct {
	mu    sync.Mutex
	cores []parked // the longest parked first
}

type parked struct {
	id   component.ID
	core *engine.Engine
	at   time.Time
}

func (l *lot) park(id component.ID, core *engine.Engine, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear(id, now)
	if len(l.cores) == maxParked {
		l.cores = slices.Delete(l.cores, 0, 1)
	}
	l.cores = append(l.cores, parked{id, core, now})
}

// take returns nil when there is none.
func (l *lot) take(id component.ID, now time.Time) *engine.Engine {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.clear(id, now)
}

// clear removes what has waited too long, and what is parked under the ID, which it returns.
func (l *lot) clear(id component.ID, now time.Time) (core *engine.Engine) {
	l.cores = slices.DeleteFunc(l.cores, func(p parked) bool {
		if age := now.Sub(p.at); age < 0 || age > parkedFor {
			return true
		}
		if p.id != id {
			return false
		}
		core = p.core
		return true
	})
	return core
}

// park leaves what was learned to the next engine with the same ID. A span that comes all the same finds an empty one.
func (e *breakerEngine) park() {
	e.mu.Lock()
	defer e.mu.Unlock()
	core := e.before // no span came since the reload before
	if e.core.Begun() {
		core = e.core
		e.reset()
	}
	if e.before = nil; core != nil {
		reloads.park(e.id, core, time.Now())
	}
}

// take finds what the engine before the reload learned, if there was one.
func (e *breakerEngine) take() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.before = reloads.take(e.id, time.Now())
}

// resume goes on with that, when the spans go on where they were: a stream of another time is another stream. The lock
// must be held.
func (e *breakerEngine) resume(b *batch) {
	before := e.before
	if before == nil || len(b.calls.Calls) == 0 {
		return
	}
	e.before = nil
	if e.core.Begun() {
		return
	}
	gap := time.Duration(b.calls.Calls[0].End - before.Head())
	switch {
	case gap < -e.cfg.AllowedLateness || gap > 2*parkedFor:
		e.telemetry.reloaded(reloadTime)
		return
	case !before.Reconfigure(e.cfg.settings(), e.happened):
		e.telemetry.reloaded(reloadSettings)
		e.logger.Info("The window or max_spans was changed: all breakers begin anew, closed")
		return
	}
	e.core = before
	e.publish()
	e.telemetry.reloaded(reloadKept)
	e.logger.Info("Breakers go on from before the reload; those whose settings were changed begin anew")
}
