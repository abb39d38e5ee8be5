// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/firebreak-otel/firebreak/lab/internal/faults"
	"github.com/firebreak-otel/firebreak/lab/internal/parts"
	"github.com/firebreak-otel/firebreak/lab/internal/recorder"
	"github.com/firebreak-otel/firebreak/lab/internal/services"
	"github.com/firebreak-otel/firebreak/lab/internal/truth"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// TestMain lets the test binary stand in for lab when the session starts its
// services by its own executable.
func TestMain(m *testing.M) {
	if os.Getenv(services.ConfigVariable) != "" {
		if err := services.Run(context.Background(), os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func needParts(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED: runs a whole shop")
	}
	if _, err := parts.PostgresPrograms(); err != nil {
		t.Skipf("SKIPPED, NOTHING WAS TESTED: %v", err)
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skipf("SKIPPED, NOTHING WAS TESTED: %v", parts.ErrNoRedis)
	}
	runtime.LockOSThread() // see parts.StartProcess
}

// A short recording with a broker that runs already: the lock hurts, the
// healthy stretch does not, every service is heard, and nothing is left running.
func TestSmoke(t *testing.T) {
	needParts(t)
	broker, err := kfake.NewCluster(kfake.NumBrokers(1))
	require.NoError(t, err)
	defer broker.Close()
	f, err := faults.Find("postgres-lock")
	require.NoError(t, err)
	out := filepath.Join(t.TempDir(), "postgres-lock")
	require.NoError(t, Run(t.Context(), Options{
		Fault: f, Out: out, WarmUp: 2 * time.Second, Healthy: 2 * time.Second, FaultFor: 3 * time.Second, Heal: time.Second,
		Rate: 20, Checkouts: 0.6, Seed: 1, Customers: 1000, Broker: broker.ListenAddrs()[0], Log: t.Logf,
	}))

	tr, err := truth.Read(out)
	require.NoError(t, err)
	assert.Regexp(t, `^kafka .*v\d`, tr.Broker)
	assert.Positive(t, tr.Counts.Failed)
	spans, instances := 0, map[string]int{}
	require.NoError(t, recorder.ReadTraces(out, func(td ptrace.Traces) error {
		spans += td.SpanCount()
		for _, rs := range td.ResourceSpans().All() {
			v, _ := rs.Resource().Attributes().Get("service.instance.id")
			instances[v.AsString()]++
		}
		return nil
	}))
	assert.Equal(t, tr.Counts.Spans, spans)
	for _, want := range []string{"gateway-1", "orders-1", "orders-2", "catalog-1", "catalog-2", "fulfilment-1", "notifier-1"} {
		assert.Positive(t, instances[want], want)
	}
	assert.Len(t, instances, 7, "the payment provider emits no telemetry")
}

func TestFaultOfTheBrokerNeedsOneOfOurs(t *testing.T) {
	f, err := faults.Find("broker-pause")
	require.NoError(t, err)
	require.ErrorContains(t, Run(t.Context(), Options{Fault: f, Broker: "127.0.0.1:9092"}), "broker-pause is done to the broker's process")
}

// A run that is cut short leaves neither files nor processes behind.
func TestCancelledRunCleansUp(t *testing.T) {
	needParts(t)
	t.Setenv("TMPDIR", t.TempDir())
	require.NoError(t, os.Chmod(os.TempDir(), 0o755))
	require.NoError(t, os.Chmod(filepath.Dir(os.TempDir()), 0o755))
	f, err := faults.Find("surge")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cut := func(format string, args ...any) {
		t.Logf(format, args...)
		if strings.HasPrefix(format, "recording") {
			cancel()
		}
	}
	out := filepath.Join(t.TempDir(), "surge")
	require.ErrorContains(t, Run(ctx, Options{
		Fault: f, Out: out, Healthy: time.Hour, FaultFor: time.Second, Heal: time.Second,
		Rate: 5, Checkouts: 0.5, Seed: 1, Customers: 1000, Kfake: true, Log: cut,
	}), "stopped before")
	left, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	assert.Empty(t, left)
	assert.NoDirExists(t, out)
}
