// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate // import "github.com/firebreak-otel/firebreak/internal/simulate"

import (
	"fmt"
	"math"
	"slices"
)

// planFaults puts every fault's beginnings and ends on the agenda.
func (s *Simulation) planFaults() {
	for i := range s.scenario.Faults {
		f := s.scenario.Faults[i]
		if s.axes.Mild {
			f = f.softened()
		}
		s.faults = append(s.faults, &f)
		from, to := s.zero+int64(f.From), s.end
		if f.To != 0 {
			to = s.zero + int64(f.To)
		}
		if f.Every == 0 {
			s.during(&f, from, to)
			continue
		}
		first := from
		if f.From == 0 { // as long as there is data: it is usual
			first = epoch + int64(f.Every)/2
		}
		for t := first; t < to; t += int64(f.Every) {
			s.during(&f, t, min(to, t+int64(f.For)))
		}
	}
}

func (s *Simulation) during(f *Fault, from, to int64) {
	s.at(from, func() {
		s.active[f.Kind] = append(s.active[f.Kind], f)
		s.begin(f, to)
	})
	s.at(to, func() {
		s.active[f.Kind] = slices.DeleteFunc(slices.Clone(s.active[f.Kind]), func(g *Fault) bool { return g == f })
		s.finish(f)
	})
}

// endOf is when the present turn of a fault ends.
func (s *Simulation) endOf(f *Fault) int64 {
	to := s.end
	if f.To != 0 {
		to = s.zero + int64(f.To)
	}
	if f.Every > 0 {
		from := s.zero + int64(f.From)
		if f.From == 0 {
			from = epoch + int64(f.Every)/2
		}
		to = min(to, from+(s.now-from)/int64(f.Every)*int64(f.Every)+int64(f.For))
	}
	return to
}

// begin does what a fault does at once; most only stand in active and are asked for.
func (s *Simulation) begin(f *Fault, until int64) {
	switch f.Kind {
	case "pause":
		s.each(f, func(in *instance) { s.pause(in, until) })
	case "gc":
		s.each(f, func(in *instance) { s.collect(f, in, until) })
	case "pool":
		s.resize(f)
	case "workers":
		s.each(f, func(in *instance) { in.workers.size = max(1, int(math.Ceil(float64(f.Size)*s.growth))) })
		if db := s.databases[f.Target]; db != nil {
			db.workers.size = s.grown(f.Size)
		}
	case "deploy":
		s.deploy(f)
	case "flag":
		s.services[f.Target].flags[f.Flag] = true
	case "rename":
		s.services[f.Target].renamed = true
	case "flush":
		s.databases[f.Target].warm = 0
	case "crash":
		s.each(f, func(in *instance) { s.crash(f, in, until) })
	case "logs":
		s.each(f, func(in *instance) { s.storm(f, in, until) })
	case "surge":
		if f.Op != "" {
			s.burst(f, until)
		}
	}
}

func (s *Simulation) finish(f *Fault) {
	switch f.Kind {
	case "pool":
		s.resize(f)
	case "workers":
		s.each(f, func(in *instance) {
			in.workers.size = s.grown(in.svc.def.Workers)
			s.admit(&in.workers)
		})
		if db := s.databases[f.Target]; db != nil {
			db.workers.size = s.grown(s.scenario.System.Databases[f.Target].Workers)
			s.admit(&db.workers)
		}
	case "deploy":
		for _, in := range s.services[f.Target].instances {
			if in.version == f.Version {
				s.replace(in, in.svc.def.Version)
			}
		}
	case "flag":
		s.services[f.Target].flags[f.Flag] = false
	case "rename":
		s.services[f.Target].renamed = false
	}
}

// each calls do for the instances that a fault concerns.
func (s *Simulation) each(f *Fault, do func(*instance)) {
	for _, in := range s.instances {
		if f.on(in, "") || f.Op != "" && f.on(in, f.Op) {
			do(in)
		}
	}
}

func (s *Simulation) resize(f *Fault) {
	for _, in := range s.instances {
		c := in.pools[f.Target]
		if c == nil || in.svc.name != f.Caller || f.Instance != "" && in.id != f.Instance {
			continue
		}
		c.size = c.full
		for _, other := range s.active["pool"] {
			if other.Target == f.Target && other.Caller == f.Caller {
				c.size = min(c.size, max(1, int(math.Ceil(float64(other.Size)*s.growth))))
			}
		}
		s.admit(&c.pool)
	}
}

// collect stops an instance again and again: a garbage collector without room.
func (s *Simulation) collect(f *Fault, in *instance, until int64) {
	every := float64(f.Delay)
	if every == 0 {
		every = 4e9
	}
	var next func()
	next = func() {
		if s.now >= until {
			return
		}
		s.pause(in, s.now+int64(s.draw(float64(f.Pause), 0.3)))
		s.after(int64(every*(0.5+s.rng.Float64())), next)
	}
	s.after(int64(every*s.rng.Float64()), next)
}

// deploy replaces a share of the instances by ones of another version; at least one.
func (s *Simulation) deploy(f *Fault) {
	all := s.services[f.Target].instances
	n := len(all)
	if f.Share > 0 {
		n = max(1, int(math.Round(f.Share*float64(n))))
	}
	for _, in := range all[:n] {
		s.replace(in, f.Version)
	}
}

// replace is a new process in the place of an old one.
func (s *Simulation) replace(in *instance, version string) {
	s.telemetry.flush(in)
	in.version = version
	in.id = fmt.Sprintf("%s-%d", in.svc.name, in.number+1)
	if version != in.svc.def.Version {
		in.id += "-" + version
	}
	s.log2(in, "INFO", "starting version "+version)
}

// crash lets an instance die and come back, and die again.
func (s *Simulation) crash(f *Fault, in *instance, until int64) {
	down, up := float64(f.Delay), float64(f.Pause)
	if down == 0 {
		down = 20e9
	}
	if up == 0 {
		up = 2e9
	}
	var die, rise func()
	die = func() {
		if s.now >= until {
			return
		}
		s.log2(in, "FATAL", "out of memory: killed")
		s.telemetry.flush(in)
		in.crashed = true
		s.at(min(until, s.now+int64(s.draw(down, 0.2))), rise)
	}
	rise = func() {
		in.crashed = false
		s.log2(in, "INFO", "starting version "+in.version)
		s.after(int64(s.draw(up, 0.2)), die)
	}
	s.after(int64(s.rng.Float64()*1e9), die)
}

// storm writes errors that hurt nobody.
func (s *Simulation) storm(f *Fault, in *instance, until int64) {
	message := or0(f.Message, "failed to refresh feature cache: connection reset by peer")
	var next func()
	next = func() {
		if s.now >= until {
			return
		}
		s.log2(in, "ERROR", message)
		s.after(int64(s.rng.ExpFloat64()*1e9/f.Rate), next)
	}
	next()
}

// burst is more of one operation of the users'.
func (s *Simulation) burst(f *Fault, until int64) {
	for i := range s.entries {
		e := s.entries[i]
		if e.step.op.name != f.Op {
			continue
		}
		extra := s.axes.Rate * e.share * (f.Factor - 1)
		var next func()
		next = func() {
			if s.now >= until {
				return
			}
			all := s.entries
			s.entries = []entry{{e.step, 1}}
			s.arrive()
			s.entries = all
			s.after(int64(s.rng.ExpFloat64()*1e9/extra), next)
		}
		next()
	}
}
