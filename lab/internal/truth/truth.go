// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package truth holds what is known for sure about a recorded incident: what
// was done, when, to what, and the verdict that is right.
package truth

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"
)

// File is the name of the truth file in an incident's directory.
const File = "truth.yaml"

// Truth is the content of truth.yaml.
type Truth struct {
	Fault       string    `yaml:"fault"`
	Description string    `yaml:"description"`
	Target      string    `yaml:"target"`
	Broker      string    `yaml:"broker"`
	Recorded    Span      `yaml:"recorded,flow"`
	Injected    time.Time `yaml:"injected"`
	Healed      time.Time `yaml:"healed"`
	Verdict     Verdict   `yaml:"verdict"`
	// Symptoms are the nodes that are hurt but not guilty.
	Symptoms []string `yaml:"symptoms,flow"`
	Counts   Counts   `yaml:"counts,flow"`
}

// Span is a stretch of time.
type Span struct {
	From time.Time `yaml:"from"`
	To   time.Time `yaml:"to"`
}

// Verdict is the right answer.
type Verdict struct {
	// Silent means that nothing may be reported; the rest is empty then.
	Silent bool `yaml:"silent"`
	// Root names a node: shop/orders, postgresql/shop, redis/<server.address>,
	// kafka/<topic>, or <server.address> of an external one.
	Root string `yaml:"root"`
	Kind string `yaml:"kind"` // service, database, messaging or external
	// Instance and Version are set where one of them alone is guilty.
	Instance string `yaml:"instance"`
	Version  string `yaml:"version"`
}

// Counts says how much was recorded; requests and failed are the customers'.
type Counts struct {
	Spans    int `yaml:"spans"`
	Logs     int `yaml:"logs"`
	Requests int `yaml:"requests"`
	Failed   int `yaml:"failed"`
}

// Validate says what is wrong with t, nil for nothing.
func (t Truth) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if t.Fault == "" || t.Description == "" {
		bad("fault and description must be set")
	}
	if !t.Recorded.From.Before(t.Injected) || !t.Injected.Before(t.Healed) || !t.Healed.Before(t.Recorded.To) {
		bad("times must be in order: recorded.from, injected, healed, recorded.to")
	}
	kinds := []string{"service", "database", "messaging", "external"}
	switch v := t.Verdict; {
	case v.Silent && (v.Root != "" || v.Kind != "" || len(t.Symptoms) > 0):
		bad("verdict.silent leaves no root, kind or symptoms")
	case !v.Silent && v.Root == "":
		bad("verdict.root must name a node")
	case !v.Silent && !slices.Contains(kinds, v.Kind):
		bad("verdict.kind is %q, must be one of %v", v.Kind, kinds)
	}
	if slices.Contains(t.Symptoms, t.Verdict.Root) && t.Verdict.Root != "" {
		bad("%s is both root and symptom", t.Verdict.Root)
	}
	return errors.Join(errs...)
}

// Write writes t to dir.
func Write(dir string, t Truth) error {
	if err := t.Validate(); err != nil {
		return fmt.Errorf("truth of %s: %w", t.Fault, err)
	}
	b, err := yaml.Marshal(t)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, File), b, 0o644)
}

// Read reads the truth of dir and refuses keys that it does not know.
func Read(dir string) (Truth, error) {
	var t Truth
	f, err := os.Open(filepath.Join(dir, File))
	if err != nil {
		return t, err
	}
	defer func() { _ = f.Close() }()
	d := yaml.NewDecoder(f)
	d.KnownFields(true)
	if err := d.Decode(&t); err != nil {
		return t, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return t, t.Validate()
}
