// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate // import "github.com/firebreak-otel/firebreak/internal/simulate"

import (
	"fmt"
	"slices"
	"strings"
)

// checker gathers what is wrong with a scenario, each with its path.
type checker struct {
	sc   *Scenario
	errs []error
}

func (c *checker) say(path, format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...)))
}

func (sc *Scenario) check() []error {
	c := &checker{sc: sc}
	c.system()
	c.load()
	for i := range sc.Faults {
		c.fault(fmt.Sprintf("faults[%d]", i), &sc.Faults[i])
	}
	if sc.Name == "" {
		c.say("name", "must be given")
	}
	if sc.Truth == nil {
		c.say("truth", "must be given: roots, or silent: true, or unknown: true")
	} else {
		c.truth(sc.Truth)
	}
	for i, s := range sc.Axes.Severity {
		c.oneOf(fmt.Sprintf("axes.severity[%d]", i), s, "full", "mild")
	}
	return c.errs
}

func (c *checker) oneOf(path, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		c.say(path, "%q is none of %s", value, strings.Join(allowed, ", "))
	}
}

func (c *checker) system() {
	sys := &c.sc.System
	if sys.Hosts < 1 || sys.Hosts > 1000 {
		c.say("system.hosts", "must be 1 to 1000")
	}
	for _, name := range sorted(sys.Services) {
		path := "system.services." + name
		s := sys.Services[name]
		if s == nil {
			c.say(path, "says nothing; give it operations or consumes, or leave it out")
			continue
		}
		if n := len(s.Instances); n > 2 || s.Instances[0] < 1 || s.Instances[n-1] < s.Instances[0] {
			c.say(path+".instances", "must be [count] or [least, most]")
		}
		c.oneOf(path+".transport", s.Transport, "", "http", "grpc")
		c.oneOf(path+".style", s.Style, "", "go", "java", "old")
		c.oneOf(path+".span_starts", s.SpanStarts, "", "worker", "arrival")
		c.oneOf(path+".on_timeout", s.OnTimeout, "", "stop", "continue")
		for _, db := range sorted(s.Pools) {
			if sys.Databases[db] == nil {
				c.say(path+".pools."+db, "no such database")
			} else if s.Pools[db].Size < 1 {
				c.say(path+".pools."+db+".size", "must be at least 1")
			}
		}
		for _, op := range sorted(s.Operations) {
			c.steps(path+".operations."+op, s.Operations[op])
		}
		for _, t := range sorted(s.Consumes) {
			if sys.Topics[t] == nil {
				c.say(path+".consumes."+t, "no such topic")
			}
			c.oneOf(path+".consumes."+t+".join", s.Consumes[t].Join, "", "link", "parent")
			c.steps(path+".consumes."+t+".steps", s.Consumes[t].Steps)
		}
	}
	for _, name := range sorted(sys.Databases) {
		if !strings.Contains(name, "/") {
			c.say("system.databases."+name, "a database's name is system/namespace, a cache's system/address")
		}
	}
	for _, name := range sorted(sys.Topics) {
		if !strings.Contains(name, "/") {
			c.say("system.topics."+name, "a topic's name is system/destination")
		}
	}
}

func (c *checker) steps(path string, steps []Step) {
	for i := range steps {
		c.step(fmt.Sprintf("%s[%d]", path, i), &steps[i])
	}
}

func (c *checker) step(path string, s *Step) {
	sys := &c.sc.System
	var is []string
	note := func(given bool, key string) {
		if given {
			is = append(is, key)
		}
	}
	note(s.Call != "", "call")
	note(s.DB != "", "db")
	note(s.Cache != "", "cache")
	note(s.Publish != "", "publish")
	note(len(s.Parallel) > 0, "parallel")
	note(s.Lock != "", "lock")
	note(s.Log != "", "log")
	note(s.Return, "return")
	note(s.Fail > 0, "fail")
	if len(is) > 1 || len(is) == 0 && s.Work == 0 {
		c.say(path, "a step is one of call, db, cache, publish, parallel, lock, log, return, fail or work; this has %d: %s", len(is), strings.Join(is, ", "))
		return
	}
	switch {
	case s.Call != "":
		svc := sys.Services[s.Call]
		switch {
		case svc == nil && sys.Externals[s.Call] == nil:
			c.say(path+".call", "no service and no external party is named %q", s.Call)
		case svc != nil && svc.Operations[s.Op] == nil:
			c.say(path+".op", "%s has no operation %q", s.Call, s.Op)
		case svc == nil && s.Op == "":
			c.say(path+".op", "must be given")
		}
	case s.DB != "" && sys.Databases[s.DB] == nil:
		c.say(path+".db", "no database is named %q", s.DB)
	case s.DB != "" && s.Table == "":
		c.say(path+".table", "must be given")
	case s.Cache != "" && sys.Databases[s.Cache] == nil:
		c.say(path+".cache", "no database is named %q", s.Cache)
	case s.Publish != "" && sys.Topics[s.Publish] == nil:
		c.say(path+".publish", "no topic is named %q", s.Publish)
	}
	if s.Log != "" {
		c.oneOf(path+".level", s.Level, "DEBUG", "INFO", "WARN", "ERROR")
	}
	if s.Chance < 0 || s.Chance > 1 || s.Hit < 0 || s.Hit > 1 || s.Fail < 0 || s.Fail > 1 {
		c.say(path, "chance, hit and fail are between 0 and 1")
	}
	c.steps(path+".miss", s.Miss)
	c.steps(path+".fallback", s.Fallback)
	for i := range s.Parallel {
		c.steps(fmt.Sprintf("%s.parallel[%d]", path, i), s.Parallel[i])
	}
}

func (c *checker) load() {
	l := &c.sc.Load
	svc := c.sc.System.Services[l.Entry]
	if svc == nil {
		c.say("load.entry", "no service is named %q", l.Entry)
		return
	}
	for _, op := range sorted(l.Mix) {
		if svc.Operations[op] == nil {
			c.say("load.mix."+op, "%s has no such operation", l.Entry)
		}
	}
	if l.Rate < 0 {
		c.say("load.rate", "must not be negative")
	}
}

func (c *checker) fault(path string, f *Fault) {
	needs, ok := faultKinds[f.Kind]
	if !ok {
		c.say(path+".kind", "%q is none of %s", f.Kind, strings.Join(sorted(faultKinds), ", "))
		return
	}
	for _, key := range needs {
		if !f.has(key) {
			c.say(path+"."+key, "a fault of kind %s needs it", f.Kind)
		}
	}
	if f.To != 0 && f.To <= f.From {
		c.say(path+".to", "is not after from")
	}
	if f.Every != 0 && (f.For <= 0 || f.For >= f.Every) {
		c.say(path+".for", "must be given with every, and be shorter")
	}
	c.named(path, f)
}

// broker is what stands before a topic's slash.
func (c *checker) broker(name string) bool {
	for _, t := range sorted(c.sc.System.Topics) {
		if system, _, _ := strings.Cut(t, "/"); system == name {
			return true
		}
	}
	return false
}

func (c *checker) named(path string, f *Fault) {
	sys := &c.sc.System
	service := sys.Services[f.Target] != nil
	known := service || sys.Databases[f.Target] != nil || sys.Topics[f.Target] != nil || sys.Externals[f.Target] != nil || c.broker(f.Target)
	if f.Target != "" && !known {
		c.say(path+".target", "nothing is named %q", f.Target)
		return
	}
	switch f.Kind {
	case "deploy", "flag", "rename", "swallow", "crash", "logs", "gc", "cpu", "pause", "poison", "flood":
		if !service {
			c.say(path+".target", "a fault of kind %s needs a service", f.Kind)
		}
	case "pool", "lock", "flush":
		if sys.Databases[f.Target] == nil {
			c.say(path+".target", "a fault of kind %s needs a database", f.Kind)
		}
	case "hot":
		if sys.Topics[f.Target] == nil {
			c.say(path+".target", "a fault of kind hot needs a topic")
		}
	case "quota":
		if sys.Externals[f.Target] == nil {
			c.say(path+".target", "a fault of kind quota needs an external party")
		}
	}
	if f.Caller != "" && sys.Services[f.Caller] == nil {
		c.say(path+".caller", "no service is named %q", f.Caller)
	}
	if f.Zone != "" && !slices.Contains(sys.Zones, f.Zone) {
		c.say(path+".zone", "no zone is named %q", f.Zone)
	}
}

func (c *checker) truth(t *Truth) {
	n := 0
	for _, said := range []bool{len(t.Roots) > 0, t.Silent, t.Unknown} {
		if said {
			n++
		}
	}
	if n != 1 {
		c.say("truth", "must be one of roots, silent: true, unknown: true")
	}
	for i := range t.Roots {
		if t.Roots[i].Node == "" {
			c.say(fmt.Sprintf("truth.roots[%d].node", i), "must be given")
		}
	}
}
