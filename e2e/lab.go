// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/firebreak-otel/firebreak/internal/replay"
)

// The lab's stretches: as recorded, but a shorter healthy one, still twice the warm_up of rca.
const (
	labHealthy  = 60 * time.Second
	labFaultFor = 25 * time.Second
	labHeal     = 50 * time.Second
)

// noLab says what the lab lacks; its faults are done to real parts.
func noLab() string {
	initdb, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	_, inPath := exec.LookPath("initdb")
	_, noRedis := exec.LookPath("redis-server")
	if (len(initdb) == 0 && inPath != nil) || noRedis != nil {
		return "the lab lacks PostgreSQL or Redis; `make lab-deps` installs them"
	}
	return ""
}

// startLab runs the shop, its load and the fault, and returns once the shop works. What is right is known beforehand from
// the recording of the same fault; the times are those of this run.
func (s *stage) startLab(ctx context.Context) error {
	args := []string{
		"record", "--fault", s.truth.Fault, "--out", filepath.Join(s.out, "lab"), "--rate", "20",
		"--healthy", labHealthy.String(), "--fault-for", labFaultFor.String(), "--heal", labHeal.String(),
	}
	for _, to := range s.endpoints() {
		args = append(args, "--forward", to)
	}
	fmt.Printf("\n== Lab: start\n  ran   %s %s\n", s.lab, strings.Join(args, " "))
	p, err := start(s.out, "lab", nil, s.lab, args...)
	if err != nil {
		return err
	}
	s.sources = append(s.sources, p)
	if err := p.ready(ctx, func() error {
		text, err := os.ReadFile(p.log)
		if err == nil && !strings.Contains(string(text), "lab: recording") {
			err = errors.New("the shop is not up")
		}
		return err
	}); err != nil {
		return err
	}
	now := time.Now()
	s.truth.Recorded.From, s.truth.Injected = now, now.Add(labHealthy)
	s.truth.Healed = s.truth.Injected.Add(labFaultFor)
	s.truth.Recorded.To = s.truth.Healed.Add(labHeal)
	fmt.Printf("\n== The lab's shop works; the fault will be %s: %s\n", s.truth.Fault, s.truth.Description)
	return nil
}

// checkLab compares what the lab did with what was expected of the collector.
func (s *stage) checkLab() error {
	t, err := replay.LoadTruth(filepath.Join(s.out, "lab", s.truth.Fault, "truth.yaml"))
	if err != nil {
		return err
	}
	if t.Verdict != s.truth.Verdict {
		return fmt.Errorf("the lab's verdict is %+v, the recording's %+v: record it again", t.Verdict, s.truth.Verdict)
	}
	text, err := os.ReadFile(filepath.Join(s.out, "lab.log"))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); strings.Contains(line, "forwarded") || strings.Contains(line, "ATTENTION") {
			got("%s", line)
		}
	}
	got("%d requests of customers, %d failed; broker %s; the truth: %s", t.Counts.Requests, t.Counts.Failed, t.Broker, t.Verdict.Root)
	return nil
}
