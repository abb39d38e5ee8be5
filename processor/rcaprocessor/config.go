// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor // import "github.com/firebreak-otel/firebreak/processor/rcaprocessor"

import (
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/engine"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

// Config is the configuration of the rca processor. Telemetry is held back by TraceWait and LogWait only.
type Config struct {
	// AllowedLateness is the longest that the analysis waits for spans that arrive late. It waits less where
	// the stream shows that less is enough.
	AllowedLateness time.Duration `mapstructure:"allowed_lateness"`
	// TraceQuiet is how long no span of a trace must have ended before the trace is looked at.
	TraceQuiet time.Duration `mapstructure:"trace_quiet"`
	// WarmUp is how much must have been seen before the first verdict.
	WarmUp time.Duration `mapstructure:"warm_up"`
	// IdleTimeout is after how long without a span a service, operation or replica is forgotten.
	IdleTimeout time.Duration `mapstructure:"idle_timeout"`
	// Incident says when an incident opens, changes and ends.
	Incident IncidentConfig `mapstructure:"incident"`
	// Limits bound what is held in memory.
	Limits LimitsConfig `mapstructure:"limits"`
	// EventQueueSize is how many event records may wait for the logs pipeline.
	EventQueueSize int `mapstructure:"event_queue_size"`
	// JaegerWarnings also writes a sentence on annotated spans that Jaeger shows as a warning.
	JaegerWarnings bool `mapstructure:"jaeger_warnings"`
	// TraceWait is how long spans of traces that look bad are held back for the verdict while an incident is
	// suspected or open. 0: not at all.
	TraceWait time.Duration `mapstructure:"trace_wait"`
	// LogWait is the same for log records that name a trace, or are of severity WARN or above.
	LogWait time.Duration `mapstructure:"log_wait"`
	// Storage is the ID of a storage extension that keeps what was learned over a restart. Without one every start is cold.
	Storage *component.ID `mapstructure:"storage"`
	// StorageInterval is how often the state is saved, in event time, besides at shutdown.
	StorageInterval time.Duration `mapstructure:"storage_interval"`
}

// IncidentConfig says when an incident opens, changes and ends.
type IncidentConfig struct {
	// MinConfidence is the least score (0..1) that names a root cause.
	MinConfidence float64 `mapstructure:"min_confidence"`
	// Patience is how long a symptom may stand without a root cause before an incident opens with root "unknown".
	Patience time.Duration `mapstructure:"patience"`
	// UpdateInterval is the shortest time between two updates of an incident.
	UpdateInterval time.Duration `mapstructure:"update_interval"`
	// ResolveAfter is how long all must have been well before an incident is resolved.
	ResolveAfter time.Duration `mapstructure:"resolve_after"`
	// ReopenWithin is how long after its end an incident with the same root is the same incident.
	ReopenWithin time.Duration `mapstructure:"reopen_within"`
	// MaxDuration is how long an incident may be open; then what it is about is taken for the new normal.
	MaxDuration time.Duration `mapstructure:"max_duration"`
}

// LimitsConfig bounds what is held in memory. What falls beyond a limit is forwarded, not analysed, and counted.
type LimitsConfig struct {
	Spans             int `mapstructure:"spans"`               // spans of traces not yet at rest, 40 bytes each
	SpansPerTrace     int `mapstructure:"spans_per_trace"`     // spans of one trace
	Nodes             int `mapstructure:"nodes"`               // services, databases, topics, external parties
	Operations        int `mapstructure:"operations"`          // operations of all nodes, about 5 kB each
	OperationsPerNode int `mapstructure:"operations_per_node"` // those beyond count as one
	Instances         int `mapstructure:"instances"`           // replicas times versions of all nodes
	InstancesPerNode  int `mapstructure:"instances_per_node"`  // replicas times versions of one node
	Edges             int `mapstructure:"edges"`               // call relations
	HurtTraces        int `mapstructure:"hurt_traces"`         // trace ids remembered during an incident
	Messages          int `mapstructure:"messages"`            // messages published, and received, remembered; 40 bytes each
	StateBytes        int `mapstructure:"state_bytes"`         // of the state in the storage extension
	HeldBytes         int `mapstructure:"held_bytes"`          // spans and log records held back, in memory
}

func createDefaultConfig() component.Config {
	return &Config{
		// SDKs batch for 5 s by default; twice that leaves room for one retry.
		AllowedLateness: 10 * time.Second,
		// The clocks of two hosts may differ by two seconds and their spans still be one trace.
		TraceQuiet:  3 * time.Second,
		WarmUp:      30 * time.Second,
		IdleTimeout: time.Hour,
		Incident: IncidentConfig{
			MinConfidence:  0.4,
			Patience:       30 * time.Second,
			UpdateInterval: 30 * time.Second,
			ResolveAfter:   30 * time.Second,
			ReopenWithin:   15 * time.Minute,
			MaxDuration:    time.Hour,
		},
		Limits: LimitsConfig{
			Spans:             500_000,
			SpansPerTrace:     5_000,
			Nodes:             5_000,
			Operations:        20_000,
			OperationsPerNode: 256,
			Instances:         20_000,
			InstancesPerNode:  1_000,
			Edges:             20_000,
			HurtTraces:        65_536,
			Messages:          65_536,
			StateBytes:        32 << 20,
			HeldBytes:         64 << 20,
		},
		EventQueueSize:  256,
		StorageInterval: time.Minute,
	}
}

// Longest durations that make sense: event time within them is kept in rings of seconds.
const (
	maxLateness = 10 * time.Minute
	maxQuiet    = time.Minute
	maxWait     = 30 * time.Second // who sends to a Collector times out
)

// Validate refuses values that the engine cannot work with, with each key and the reason.
func (c *Config) Validate() error {
	return errors.Join(
		between("allowed_lateness", c.AllowedLateness, time.Second, maxLateness),
		between("trace_quiet", c.TraceQuiet, time.Millisecond, maxQuiet),
		between("warm_up", c.WarmUp, 0, 24*time.Hour),
		between("idle_timeout", c.IdleTimeout, 10*time.Minute, 30*24*time.Hour),
		fraction("incident::min_confidence", c.Incident.MinConfidence),
		between("incident::patience", c.Incident.Patience, 0, time.Hour),
		between("incident::update_interval", c.Incident.UpdateInterval, time.Second, 24*time.Hour),
		between("incident::resolve_after", c.Incident.ResolveAfter, time.Second, 24*time.Hour),
		between("incident::reopen_within", c.Incident.ReopenWithin, 0, 7*24*time.Hour),
		between("incident::max_duration", c.Incident.MaxDuration, 5*time.Minute, 7*24*time.Hour),
		positive("limits::spans", c.Limits.Spans),
		positive("limits::spans_per_trace", c.Limits.SpansPerTrace),
		positive("limits::nodes", c.Limits.Nodes),
		positive("limits::operations", c.Limits.Operations),
		positive("limits::operations_per_node", c.Limits.OperationsPerNode),
		positive("limits::instances", c.Limits.Instances),
		positive("limits::instances_per_node", c.Limits.InstancesPerNode),
		positive("limits::edges", c.Limits.Edges),
		positive("limits::hurt_traces", c.Limits.HurtTraces),
		positive("limits::messages", c.Limits.Messages),
		atLeast("limits::state_bytes", c.Limits.StateBytes, minStateBytes),
		atLeast("limits::held_bytes", c.Limits.HeldBytes, c.leastHeld()),
		positive("event_queue_size", c.EventQueueSize),
		between("trace_wait", c.TraceWait, 0, maxWait),
		between("log_wait", c.LogWait, 0, maxWait),
		between("storage_interval", c.StorageInterval, 10*time.Second, 24*time.Hour),
	)
}

// leastHeld is the least of limits::held_bytes: 0 where nothing is held.
func (c *Config) leastHeld() int {
	if c.TraceWait == 0 && c.LogWait == 0 {
		return 0
	}
	return 1
}

func between(key string, d, least, most time.Duration) error {
	if d < least || d > most {
		return fmt.Errorf("%s: must be between %v and %v, is %v", key, least, most, d)
	}
	return nil
}

func fraction(key string, x float64) error {
	if !(x >= 0 && x <= 1) {
		return fmt.Errorf("%s: must be between 0 and 1, is %v", key, x)
	}
	return nil
}

// maxCount keeps a limit within what handles of 32 bits can count.
const maxCount = 1 << 28

// minStateBytes has room for the graph of a small system.
const minStateBytes = 1 << 16

func positive(key string, n int) error { return atLeast(key, n, 1) }

func atLeast(key string, n, least int) error {
	if n < least || n > maxCount {
		return fmt.Errorf("%s: must be between %d and %d, is %d", key, least, maxCount, n)
	}
	return nil
}

func (c *Config) settings() engine.Settings {
	return engine.Settings{
		Lateness:   c.AllowedLateness.Nanoseconds(),
		Quiet:      c.TraceQuiet.Nanoseconds(),
		WarmUp:     c.WarmUp.Nanoseconds(),
		IdleAfter:  c.IdleTimeout.Nanoseconds(),
		Spans:      c.Limits.Spans,
		TraceSpans: c.Limits.SpansPerTrace,
		HurtTraces: c.Limits.HurtTraces,
		Messages:   c.Limits.Messages,
		Graph: graph.Limits{
			Nodes: c.Limits.Nodes, Ops: c.Limits.OperationsPerNode, AllOps: c.Limits.Operations,
			Instances: c.Limits.InstancesPerNode, AllInstances: c.Limits.Instances, Edges: c.Limits.Edges,
		},
		Incident: incident.Policy{
			Confidence:   c.Incident.MinConfidence,
			Patience:     c.Incident.Patience.Nanoseconds(),
			UpdateEvery:  c.Incident.UpdateInterval.Nanoseconds(),
			Margin:       rootMargin,
			ResolveAfter: c.Incident.ResolveAfter.Nanoseconds(),
			ReopenWithin: c.Incident.ReopenWithin.Nanoseconds(),
			MaxDuration:  c.Incident.MaxDuration.Nanoseconds(),
		},
	}
}

// rootMargin is by how much another root must lead before an open incident's verdict changes.
const rootMargin = 0.15
