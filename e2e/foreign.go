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
)

// foreignDir has a manifest and a configuration as others have them.
var foreignDir = filepath.Join("testdata", "foreign")

// ourLines are what the README tells people to add to the processors of their manifest.
const ourLines = `processors:
  - gomod: github.com/firebreak-otel/firebreak v0.0.0
    import: github.com/firebreak-otel/firebreak/processor/breakerprocessor
    path: %[1]s
  - gomod: github.com/firebreak-otel/firebreak v0.0.0
    import: github.com/firebreak-otel/firebreak/processor/rcaprocessor
    path: %[1]s
`

// startForeign adds ours to the manifest, builds that with ocb, and starts it.
func (s *stage) startForeign(ctx context.Context) error {
	wd, err := os.Getwd()
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(filepath.Join(s.out, "foreign"))
	if err != nil {
		return err
	}
	repo, err := filepath.Rel(dir, wd)
	if err != nil {
		return err
	}
	theirs, err := os.ReadFile(filepath.Join(foreignDir, "builder-config.yaml"))
	if err != nil {
		return err
	}
	if strings.Count(string(theirs), "\nprocessors:\n") != 1 {
		return errors.New("the manifest has no processors to add to")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	ours := fmt.Sprintf(ourLines, filepath.ToSlash(repo))
	manifest := strings.Replace(string(theirs), "\nprocessors:\n", "\n"+ours, 1)
	if err := os.WriteFile(filepath.Join(dir, "builder-config.yaml"), []byte(manifest), 0o600); err != nil {
		return err
	}
	builder, err := filepath.Abs(s.builder)
	if err != nil {
		return err
	}
	fmt.Printf("  added to the manifest's %s", strings.ReplaceAll(ours, "\n  ", "\n          "))
	fmt.Printf("  ran   (cd %s && %s --config builder-config.yaml)\n", filepath.Join(s.out, "foreign"), filepath.Base(builder))
	if err := command(ctx, dir, builder, "--config", "builder-config.yaml"); err != nil {
		return err
	}
	binary := filepath.Join(s.out, "foreign", "build", "otelcol-foreign")
	fmt.Printf("  ran   %s components\n", binary)
	out, err := exec.CommandContext(ctx, binary, "components").Output()
	if err != nil {
		return commandError(err)
	}
	for _, name := range []string{"breaker", "rca"} {
		_, entry, ok := strings.Cut(string(out), "- name: "+name+"\n")
		if !ok {
			return fmt.Errorf("it has no %s: %s", name, out)
		}
		entry, _, _ = strings.Cut(entry, "- name: ")
		entry, _, _ = strings.Cut(entry, "exporters:")
		entry = strings.Join(strings.Fields(entry), " ")
		got("%s: %s", name, entry)
		if !strings.Contains(entry, "logs: Alpha") || !strings.Contains(entry, "traces: Alpha") {
			return fmt.Errorf("the stability of %s is not as in its README", name)
		}
	}
	config := filepath.Join(foreignDir, "config.yaml")
	fmt.Printf("  ran   %s --config %s\n", binary, config)
	s.foreign, err = s.launch(ctx, "foreign", listens(s.foreignOTLP),
		[]string{"FIREBREAK_OTLP_ENDPOINT=" + s.foreignOTLP}, binary, "--config", config)
	return err
}

// foreignVerdict reads the verdict from what the debug exporter of the other's collector printed.
func (s *stage) foreignVerdict(context.Context) error {
	fmt.Printf("  asked %s for the event record rca.incident.opened\n", s.foreign.log)
	text, err := os.ReadFile(s.foreign.log)
	if err != nil {
		return err
	}
	_, record, ok := strings.Cut(string(text), "EventName: rca.incident.opened\n")
	if !ok {
		return errNone
	}
	record, _, _ = strings.Cut(record, "LogRecord #")
	for line := range strings.Lines(record) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "Body:") || strings.HasPrefix(line, "-> rca.root_cause.node") {
			got("%s", line)
		}
	}
	if !strings.Contains(record, "rca.root_cause.node: Str("+s.truth.Verdict.Root+")") {
		return fmt.Errorf("its root cause is not %s:\n%s", s.truth.Verdict.Root, record)
	}
	return nil
}
