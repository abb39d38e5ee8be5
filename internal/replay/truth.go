// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package replay // import "github.com/firebreak-otel/firebreak/internal/replay"

import (
	"errors"
	"fmt"
	"os"
	"time"

	"go.yaml.in/yaml/v3"
)

// Truth is what is known about a recorded incident from outside the telemetry.
type Truth struct {
	Fault       string    `yaml:"fault"`
	Description string    `yaml:"description"` // one sentence
	Target      string    `yaml:"target"`      // what it was done to
	Broker      string    `yaml:"broker"`      // the message broker that the recording ran on
	Recorded    Period    `yaml:"recorded"`
	Injected    time.Time `yaml:"injected"`
	Healed      time.Time `yaml:"healed"`
	Verdict     Verdict   `yaml:"verdict"`
	Symptoms    []string  `yaml:"symptoms"` // nodes that hurt but are not the cause
	Counts      Counts    `yaml:"counts"`
}

// Period is a span of time.
type Period struct {
	From time.Time `yaml:"from"`
	To   time.Time `yaml:"to"`
}

// Verdict is the right answer. Silent means that nothing may be opened; the rest is empty then.
type Verdict struct {
	Silent   bool   `yaml:"silent"`
	Root     string `yaml:"root"`     // node, such as postgresql/shop
	Kind     string `yaml:"kind"`     // database, service, messaging or external
	Instance string `yaml:"instance"` // service.instance.id, when one instance is to blame
	Version  string `yaml:"version"`  // service.version, when one version is to blame
}

// Counts says how much was recorded, to notice a recording that lost a part.
type Counts struct {
	Spans    int `yaml:"spans"`
	Logs     int `yaml:"logs"`
	Requests int `yaml:"requests"` // sent by the load generator
	Failed   int `yaml:"failed"`   // of these
}

// LoadTruth reads and checks a truth.yaml. Unknown keys are an error: a misspelt one would pass as absent.
func LoadTruth(path string) (Truth, error) {
	f, err := os.Open(path)
	if err != nil {
		return Truth{}, fmt.Errorf("read the truth of a recording: %w", err)
	}
	defer f.Close()
	var t Truth
	dec := yaml.NewDecoder(f)
	dec.KnownFields(true)
	if err := dec.Decode(&t); err != nil {
		return Truth{}, fmt.Errorf("%s: %w", path, err)
	}
	if err := t.validate(); err != nil {
		return Truth{}, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

func (t *Truth) validate() error {
	v := t.Verdict
	var errs []error
	if t.Fault == "" {
		errs = append(errs, errors.New("fault: must not be empty"))
	}
	if v.Silent == (v.Root != "") {
		errs = append(errs, fmt.Errorf("verdict: either silent or with a root, has silent: %v and root: %q", v.Silent, v.Root))
	}
	if v.Root != "" && v.Kind == "" {
		errs = append(errs, errors.New("verdict.kind: must be given with a root"))
	}
	if t.Healed.Before(t.Injected) {
		errs = append(errs, fmt.Errorf("healed: %v is before injected: %v", t.Healed, t.Injected))
	}
	return errors.Join(errs...)
}
