// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate // import "github.com/firebreak-otel/firebreak/internal/simulate"

import "time"

// Scenario is what a file under testdata/scenarios says; docs/scenarios.md explains every key.
type Scenario struct {
	Name      string        `yaml:"name"`
	Archetype int           `yaml:"archetype"` // its number in the failure catalogue, 0: none
	Title     string        `yaml:"title"`
	Base      string        `yaml:"base"`     // file that this one completes, relative to this one
	Warmup    time.Duration `yaml:"warmup"`   // of normal life before time zero
	Duration  time.Duration `yaml:"duration"` // after time zero
	System    System        `yaml:"system"`
	Load      Workload      `yaml:"load"`
	Telemetry Telemetry     `yaml:"telemetry"`
	Faults    []Fault       `yaml:"faults"`
	Axes      AxisLists     `yaml:"axes"`
	Truth     *Truth        `yaml:"truth"`
}

// System is who there is, by name.
type System struct {
	Namespace string               `yaml:"namespace"`
	Zones     []string             `yaml:"zones"`
	Hosts     int                  `yaml:"hosts"`
	Reference float64              `yaml:"reference"` // traces a second that the capacities are meant for; above it they grow in step
	Services  map[string]*Service  `yaml:"services"`
	Databases map[string]*Database `yaml:"databases"`
	Topics    map[string]*Topic    `yaml:"topics"`
	Externals map[string]*External `yaml:"externals"`
}

// Service is a program in several instances.
type Service struct {
	Instances    []int             `yaml:"instances"` // a count, or the least and the most
	Workers      int               `yaml:"workers"`   // requests at a time, an instance
	Queue        int               `yaml:"queue"`     // requests that may wait for a worker, 0: no bound
	Version      string            `yaml:"version"`
	Transport    string            `yaml:"transport"` // http or grpc
	Style        string            `yaml:"style"`     // go, java or old: what its instrumentation sends
	Instrumented *bool             `yaml:"instrumented"`
	Optional     float64           `yaml:"optional"`    // chance that the service does not exist
	SpanStarts   string            `yaml:"span_starts"` // worker or arrival: whether the line before the workers is in the span
	OnTimeout    string            `yaml:"on_timeout"`  // stop or continue: what it does when its caller has given up
	Pools        map[string]Pool   `yaml:"pools"`       // connections to a database, an instance
	Operations   map[string][]Step `yaml:"operations"`
	Consumes     map[string]Group  `yaml:"consumes"` // by topic
}

// Pool is an instance's connections to one database.
type Pool struct {
	Size    int           `yaml:"size"`
	Timeout time.Duration `yaml:"timeout"`
}

// Group is how a service reads a topic.
type Group struct {
	Steps   []Step        `yaml:"steps"`
	Retries int           `yaml:"retries"`
	Backoff time.Duration `yaml:"backoff"`
	Join    string        `yaml:"join"` // link or parent: how its spans tell of the producer's
}

// Database is a store that sends no telemetry. Its name is system/namespace, of a cache system/address.
type Database struct {
	Workers int    `yaml:"workers"` // statements at a time
	Address string `yaml:"address"`
	Port    int    `yaml:"port"`
	Keys    int    `yaml:"keys"` // of a cache: how many different ones are asked for; it fills again as fast as they are set
}

// Topic is a log in partitions. Its name is system/destination.
type Topic struct {
	Partitions int           `yaml:"partitions"`
	Ack        time.Duration `yaml:"ack"`   // until a record is acknowledged
	Fetch      time.Duration `yaml:"fetch"` // until a consumer that waits has it
}

// External is a party that sends no telemetry. Its name is its address.
type External struct {
	Latency time.Duration `yaml:"latency"`
	Sigma   float64       `yaml:"sigma"`
	Quota   float64       `yaml:"quota"` // requests a second, 0: no bound
	Port    int           `yaml:"port"`
}

// Step is one thing that an operation does. One of its first nine keys says which, Work alone if none does; the
// others qualify it.
type Step struct {
	Call     string   `yaml:"call"`     // a service or an external party
	DB       string   `yaml:"db"`       // a statement
	Cache    string   `yaml:"cache"`    // a look-up, and when it misses, Miss and a set
	Publish  string   `yaml:"publish"`  // a record to a topic
	Parallel [][]Step `yaml:"parallel"` // branches at once
	Lock     string   `yaml:"lock"`     // one at a time in an instance, for Work
	Log      string   `yaml:"log"`      // a line of log
	Return   bool     `yaml:"return"`   // the operation ends here, well
	Fail     float64  `yaml:"fail"`     // chance that it ends here, badly: what always goes wrong now and then

	Work  time.Duration `yaml:"work"` // alone: computing; else the time the other side needs. A median
	Sigma float64       `yaml:"sigma"`

	Op           string        `yaml:"op"`      // what is called
	Timeout      time.Duration `yaml:"timeout"` // of one attempt
	Retries      int           `yaml:"retries"`
	Backoff      time.Duration `yaml:"backoff"` // before the first retry; doubles, with jitter
	Hedge        time.Duration `yaml:"hedge"`   // after which a second attempt is sent beside the first
	Breaker      bool          `yaml:"breaker"`
	Fallback     []Step        `yaml:"fallback"`
	IgnoreErrors bool          `yaml:"ignore_errors"`

	Verb  string  `yaml:"verb"`
	Table string  `yaml:"table"`
	Hit   float64 `yaml:"hit"`
	Miss  []Step  `yaml:"miss"`
	Level string  `yaml:"level"`

	Status  int    `yaml:"status"`
	Message string `yaml:"message"`

	CancelOnError bool `yaml:"cancel_on_error"`

	Flag   string  `yaml:"flag"`   // only while this flag is on
	Unless string  `yaml:"unless"` // only while it is off
	Chance float64 `yaml:"chance"` // 0: always
	Times  int     `yaml:"times"`  // how often in a row, 0: once
}

// Workload is who uses the system.
type Workload struct {
	Rate     float64            `yaml:"rate"` // traces a second
	Entry    string             `yaml:"entry"`
	Mix      map[string]float64 `yaml:"mix"`      // share of the entry's operations
	Patience time.Duration      `yaml:"patience"` // of a user
	Day      float64            `yaml:"day"`      // how far the rate swings in 24 h, as a share of it
}

// Telemetry is how spans and logs get to the collector.
type Telemetry struct {
	SpanDelay time.Duration `yaml:"span_delay"` // of an SDK's batches
	LogDelay  time.Duration `yaml:"log_delay"`
	Batch     int           `yaml:"batch"` // spans or records after which a batch goes at once
	// From is when the collector starts to listen: what arrived before is not delivered. Zero: from the beginning.
	From *time.Duration `yaml:"from"`
}

// Truth is what a verdict is judged by. The simulator does not look at it.
type Truth struct {
	Roots    []Root        `yaml:"roots"`
	Trigger  string        `yaml:"trigger"` // deploy, flag, traffic, past: what set the cause off
	Silent   bool          `yaml:"silent"`  // nothing is to be said
	Unknown  bool          `yaml:"unknown"` // to say nothing, or "unknown", is right
	Onset    time.Duration `yaml:"onset"`   // when it begins to hurt; zero: the first fault's start
	Resolved time.Duration `yaml:"resolved"`
}

// Root is a cause. Node is its name as in the system; Accept are other names for it that are as right.
type Root struct {
	Node     string   `yaml:"node"`
	Accept   []string `yaml:"accept"`
	Kind     []string `yaml:"kind"`
	Instance string   `yaml:"instance"`
	Version  string   `yaml:"version"`
	Host     string   `yaml:"host"`
}
