// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate // import "github.com/firebreak-otel/firebreak/internal/simulate"

import "time"

// Fault is one thing that goes wrong, or only changes, for a while. Which keys it takes, and what it does, is its
// Kind's matter: see faultKinds.
type Fault struct {
	Kind   string        `yaml:"kind"`
	From   time.Duration `yaml:"from"`
	To     time.Duration `yaml:"to"`    // zero: to the end
	Every  time.Duration `yaml:"every"` // comes back so often between From and To ...
	For    time.Duration `yaml:"for"`   // ... and stays so long
	Target string        `yaml:"target"`

	// Narrower than Target. All that are given must hold.
	Op        string `yaml:"op"`
	Instance  string `yaml:"instance"`
	Host      string `yaml:"host"`
	Zone      string `yaml:"zone"`
	Version   string `yaml:"version"`
	Caller    string `yaml:"caller"` // service
	Table     string `yaml:"table"`
	Partition *int   `yaml:"partition"`

	Factor  float64       `yaml:"factor"`
	Ratio   float64       `yaml:"ratio"`
	Status  int           `yaml:"status"`
	Error   string        `yaml:"error"`
	Message string        `yaml:"message"`
	Delay   time.Duration `yaml:"delay"`
	Size    int           `yaml:"size"`
	Rate    float64       `yaml:"rate"`
	Flag    string        `yaml:"flag"`
	Share   float64       `yaml:"share"` // of instances
	Pause   time.Duration `yaml:"pause"`

	Mild *Mild `yaml:"mild"`
}

// Mild is what a fault's values are at the lower of the two severities.
type Mild struct {
	Factor float64       `yaml:"factor"`
	Ratio  float64       `yaml:"ratio"`
	Delay  time.Duration `yaml:"delay"`
	Size   int           `yaml:"size"`
	Rate   float64       `yaml:"rate"`
	Pause  time.Duration `yaml:"pause"`
}

// softened is the fault at the lower severity.
func (f Fault) softened() Fault {
	m := f.Mild
	if m == nil {
		return f
	}
	if m.Factor != 0 {
		f.Factor = m.Factor
	}
	if m.Ratio != 0 {
		f.Ratio = m.Ratio
	}
	if m.Delay != 0 {
		f.Delay = m.Delay
	}
	if m.Size != 0 {
		f.Size = m.Size
	}
	if m.Rate != 0 {
		f.Rate = m.Rate
	}
	if m.Pause != 0 {
		f.Pause = m.Pause
	}
	return f
}

// faultKinds are the kinds, each with the keys that it cannot do without.
var faultKinds = map[string][]string{
	"slow":      {"target", "factor"},
	"fail":      {"target", "ratio"},
	"down":      {"target"},
	"hang":      {"target"},
	"pause":     {"target"},
	"network":   {},
	"partition": {},
	"pool":      {"caller", "target", "size"},
	"workers":   {"target", "size"},
	"lock":      {"target"},
	"quota":     {"target", "rate"},
	"dns":       {"target"},
	"tls":       {"target"},
	"auth":      {"target"},
	"deploy":    {"target", "version"},
	"flag":      {"target", "flag"},
	"swallow":   {"target", "ratio"},
	"poison":    {"target", "partition"},
	"hot":       {"target", "partition", "ratio"},
	"flood":     {"target", "factor"},
	"leak":      {"target", "factor"},
	"gc":        {"target", "pause"},
	"cpu":       {"target", "factor"},
	"host":      {"host", "factor"},
	"flush":     {"target"},
	"broker":    {"target", "factor"},
	"surge":     {"factor"},
	"logs":      {"target", "rate"},
	"rename":    {"target"},
	"crash":     {"target"},
	"lose":      {"ratio"},
	"uncover":   {"target"},
}

// has says whether a key is given.
func (f *Fault) has(key string) bool {
	switch key {
	case "target":
		return f.Target != ""
	case "factor":
		return f.Factor > 0
	case "ratio":
		return f.Ratio > 0
	case "caller":
		return f.Caller != ""
	case "size":
		return f.Size > 0
	case "rate":
		return f.Rate > 0
	case "version":
		return f.Version != ""
	case "flag":
		return f.Flag != ""
	case "partition":
		return f.Partition != nil
	case "pause":
		return f.Pause > 0
	case "host":
		return f.Host != ""
	}
	return false
}

// active are the faults of each kind that are on, in the order of the file.
type active map[string][]*Fault

// on says whether f concerns an instance of its target, and the operation that it runs.
func (f *Fault) on(in *instance, op string) bool {
	return (f.Target == "" || f.Target == in.svc.name) && (f.Op == "" || f.Op == op) &&
		(f.Instance == "" || f.Instance == in.id) && (f.Host == "" || f.Host == in.host.name) &&
		(f.Zone == "" || f.Zone == in.host.zone) && (f.Version == "" || f.Version == in.version)
}

// onCall says whether f concerns calls from an instance to a target.
func (f *Fault) onCall(from *instance, target, op string) bool {
	return (f.Target == "" || f.Target == target) && (f.Op == "" || f.Op == op) &&
		(f.Caller == "" || from != nil && f.Caller == from.svc.name) &&
		(f.Instance == "" || from != nil && f.Instance == from.id) &&
		(f.Version == "" || from != nil && f.Version == from.version) &&
		(f.Zone == "" || from != nil && f.Zone == from.host.zone)
}
