// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// labels is what labels.json says. Nothing of it but times and paths is shown to the engine.
type labels struct {
	Baselines []baseline `json:"baselines"`
	Cases     []incident `json:"cases"`
	dir       string
}

type baseline struct {
	System string `json:"system"`
	Day    string `json:"day"`
	Files  files  `json:"files"`
}

type incident struct {
	ID            string `json:"case_id"`
	System        string `json:"system"`
	Day           string `json:"day"`
	FaultType     string `json:"fault_type"`
	InjectionTime string `json:"injection_time"`
	InjectionNano string `json:"injection_time_unix_nano"`
	Truth         struct {
		Service string `json:"service"`
	} `json:"ground_truth"`
	Scorable bool  `json:"scorable"`
	Files    files `json:"files"`
}

type files struct {
	Traces *file `json:"traces"`
	Logs   *file `json:"logs"`
}

type file struct {
	Path string `json:"path"`
}

func loadLabels(dir string) (*labels, error) {
	path := filepath.Join(dir, "labels.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the labels of the data set: %w", err)
	}
	l := &labels{dir: dir}
	if err := json.Unmarshal(raw, l); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(l.Cases) == 0 {
		return nil, fmt.Errorf("%s lists no cases", path)
	}
	return l, nil
}

// path finds a file of the data set: its paths may begin with the folder's own name and those above it.
func (l *labels) path(f *file) (string, bool) {
	if f == nil || f.Path == "" {
		return "", false
	}
	rel := filepath.FromSlash(f.Path)
	candidates := []string{filepath.Join(l.dir, rel), filepath.Join(filepath.Dir(filepath.Clean(l.dir)), rel)}
	for _, rest, ok := strings.Cut(f.Path, "/"); ok; _, rest, ok = strings.Cut(rest, "/") {
		candidates = append(candidates, filepath.Join(l.dir, filepath.FromSlash(rest)))
	}
	for _, p := range candidates {
		if _, err := os.Stat(p); err == nil {
			return p, true
		}
	}
	return candidates[0], false
}

// injected is when the fault began.
func (c *incident) injected() (time.Time, error) {
	if ns, err := strconv.ParseInt(c.InjectionNano, 10, 64); err == nil {
		return time.Unix(0, ns), nil
	}
	t, err := time.Parse(time.RFC3339, c.InjectionTime)
	if err != nil {
		return t, fmt.Errorf("case %s: no injection time: %w", c.ID, err)
	}
	return t, nil
}

// baseline returns the baseline of the case's system and day, else any of its system.
func (l *labels) baseline(c *incident) *baseline {
	var any *baseline
	for i := range l.Baselines {
		b := &l.Baselines[i]
		if b.System != c.System {
			continue
		}
		if b.Day == c.Day {
			return b
		}
		if any == nil {
			any = b
		}
	}
	return any
}
