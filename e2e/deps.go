// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	jaegerModule  = "github.com/jaegertracing/jaeger"
	jaegerVersion = "1.76.0"
)

// builds are the binaries of the backends.
type builds struct {
	jaeger, prometheus, promtool, alertmanager string
}

func cacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "firebreak-e2e"), nil
}

func buildsIn(cache string) builds {
	bin := filepath.Join(cache, "debian", "usr", "bin")
	return builds{
		jaeger:       filepath.Join(cache, "jaeger-all-in-one-"+jaegerVersion),
		prometheus:   filepath.Join(bin, "prometheus"),
		promtool:     filepath.Join(bin, "promtool"),
		alertmanager: filepath.Join(bin, "prometheus-alertmanager"),
	}
}

// deps makes what is not in the cache yet.
func deps(ctx context.Context, cache string) error {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	b := buildsIn(cache)
	if _, err := os.Stat(b.jaeger); err != nil {
		if err := buildJaeger(ctx, b.jaeger); err != nil {
			return fmt.Errorf("jaeger: %w", err)
		}
	}
	for _, f := range []string{b.prometheus, b.promtool, b.alertmanager} {
		if _, err := os.Stat(f); err != nil {
			if err := unpackDebian(ctx, filepath.Join(cache, "debian"), "prometheus", "prometheus-alertmanager"); err != nil {
				return fmt.Errorf("prometheus and alertmanager: %w", err)
			}
		}
	}
	fmt.Println("All builds are in", cache)
	return nil
}

// buildJaeger builds Jaeger in the module cache, as the main module, so by its own go.sum and replacements. What the
// Go module lacks are the files of its user interface; its HTTP API is whole.
func buildJaeger(ctx context.Context, to string) error {
	fmt.Printf("Building Jaeger %s all-in-one; it takes some minutes ...\n", jaegerVersion)
	out, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", jaegerModule+"@v"+jaegerVersion).Output()
	if err != nil {
		return commandError(err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return err
	}
	return command(ctx, module.Dir, "nice", "-n", "19", "go", "build", "-ldflags=-s -w", "-o", to, "./cmd/all-in-one")
}

// unpackDebian downloads packages and unpacks them into dir: nothing is installed, nothing of the system changes.
func unpackDebian(ctx context.Context, dir string, packages ...string) error {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return errors.New("this is no Debian: no apt-get")
	}
	fmt.Printf("Fetching %s from Debian's packages ...\n", strings.Join(packages, ", "))
	tmp, err := os.MkdirTemp("", "firebreak-e2e-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := command(ctx, tmp, "apt-get", append([]string{"download", "-q"}, packages...)...); err != nil {
		return fmt.Errorf("%w; does `apt-get update` help?", err)
	}
	debs, err := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if err != nil {
		return err
	}
	for _, deb := range debs {
		if err := command(ctx, tmp, "dpkg", "-x", deb, dir); err != nil {
			return err
		}
	}
	return nil
}

func command(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w:\n%s", cmd, err, out)
	}
	return nil
}

func commandError(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return err
}
