// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate // import "github.com/firebreak-otel/firebreak/internal/simulate"

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"go.yaml.in/yaml/v3"
)

// AxisLists are the values that a scenario makes sense at; an empty list is any.
type AxisLists struct {
	Rate     []float64       `yaml:"rate"`
	Sampling []float64       `yaml:"sampling"`
	Skew     []time.Duration `yaml:"skew"`
	Loss     []float64       `yaml:"loss"`
	Disorder []time.Duration `yaml:"disorder"`
	Logs     []bool          `yaml:"logs"`
	Severity []string        `yaml:"severity"` // full, mild
}

// maxBases is how many files may lie below one another.
const maxBases = 8

// Load reads a scenario and the files that it builds on. What is wrong is said with file, line or path.
func Load(path string) (*Scenario, error) {
	merged, err := read(path, maxBases)
	if err != nil {
		return nil, err
	}
	var sc Scenario
	if err := merged.Decode(&sc); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	sc.defaults()
	if errs := sc.check(); len(errs) > 0 {
		for i := range errs {
			errs[i] = fmt.Errorf("%s: %w", path, errs[i])
		}
		return nil, errors.Join(errs...)
	}
	return &sc, nil
}

// read returns the file's content laid over that of its base.
func read(path string, depth int) (*yaml.Node, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	var alone Scenario // strictly, so that a misspelt key is named with its line
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&alone); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(doc.Content) == 0 {
		return nil, fmt.Errorf("%s: the file is empty; see docs/scenarios.md", path)
	}
	own := doc.Content[0]
	if alone.Base == "" {
		return own, nil
	}
	if depth == 0 {
		return nil, fmt.Errorf("%s: base: more than %d files build on one another; is there a circle?", path, maxBases)
	}
	base, err := read(filepath.Join(filepath.Dir(path), alone.Base), depth-1)
	if err != nil {
		return nil, fmt.Errorf("%s: base: %w", path, err)
	}
	return overlay(base, own), nil
}

// overlay lays one mapping over another, key by key; all else replaces, and null takes away.
func overlay(under, over *yaml.Node) *yaml.Node {
	if over.Kind == yaml.AliasNode {
		over = over.Alias
	}
	if under.Kind != yaml.MappingNode || over.Kind != yaml.MappingNode {
		return over
	}
	out := *under
	out.Content = append([]*yaml.Node(nil), under.Content...)
	for i := 0; i+1 < len(over.Content); i += 2 {
		key, value := over.Content[i], over.Content[i+1]
		at := -1
		for j := 0; j+1 < len(out.Content); j += 2 {
			if out.Content[j].Value == key.Value {
				at = j
			}
		}
		switch {
		case value.Tag == "!!null" && at >= 0:
			out.Content = append(out.Content[:at], out.Content[at+2:]...)
		case at >= 0:
			out.Content[at+1] = overlay(out.Content[at+1], value)
		default:
			out.Content = append(out.Content, key, value)
		}
	}
	return &out
}

// defaults sets what a file need not say.
func (sc *Scenario) defaults() {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&sc.Warmup, 5*time.Minute)
	set(&sc.Duration, 3*time.Minute)
	set(&sc.Telemetry.SpanDelay, 5*time.Second)
	set(&sc.Telemetry.LogDelay, time.Second)
	if sc.Telemetry.Batch == 0 {
		sc.Telemetry.Batch = 512
	}
	sys := &sc.System
	if sys.Reference == 0 {
		sys.Reference = 20
	}
	if sys.Hosts == 0 {
		sys.Hosts = 8
	}
	if len(sys.Zones) == 0 {
		sys.Zones = []string{"a", "b"}
	}
	for _, s := range sys.Services {
		if s == nil {
			continue
		}
		if len(s.Instances) == 0 {
			s.Instances = []int{2}
		}
		if s.Workers == 0 {
			s.Workers = 16
		}
		s.Version = or0(s.Version, "1.0.0")
	}
	for name, d := range sys.Databases {
		if d == nil {
			d = &Database{}
			sys.Databases[name] = d
		}
		if d.Workers == 0 {
			d.Workers = 32
		}
	}
	for name, t := range sys.Topics {
		if t == nil {
			t = &Topic{}
			sys.Topics[name] = t
		}
		if t.Partitions == 0 {
			t.Partitions = 6
		}
		set(&t.Ack, 4*time.Millisecond)
		set(&t.Fetch, 15*time.Millisecond)
	}
	for name, e := range sys.Externals {
		if e == nil {
			e = &External{}
			sys.Externals[name] = e
		}
		set(&e.Latency, 60*time.Millisecond)
	}
	if sc.Load.Rate == 0 {
		sc.Load.Rate = 20
	}
	if len(sc.Load.Mix) == 0 {
		sc.Load.Mix = map[string]float64{}
		if s := sys.Services[sc.Load.Entry]; s != nil {
			for op := range s.Operations {
				sc.Load.Mix[op] = 1
			}
		}
	}
}
