// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor // import "github.com/firebreak-otel/firebreak/processor/rcaprocessor"

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/firebreak-otel/firebreak/internal/keys"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/engine"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

// Attributes of spans and log records in an incident, and of event records.
const (
	keyIncidentID = "rca.incident.id"
	keyRole       = "rca.role"
	keyNode       = "rca.root_cause.node"
	keyKind       = "rca.root_cause.kind"
	keyReason     = "rca.root_cause.reason"
	keyScore      = "rca.root_cause.score"
	keyPath       = "rca.path"
	// keyWarnings is what Jaeger's UI shows as warnings, written on request.
	keyWarnings = "@jaeger@warnings"
)

// maxAttributes is the most that is written on one item.
const maxAttributes = 8

// Attributes of event records only.
const (
	keyCause           = "rca.root_cause.cause"
	keyInstance        = "rca.root_cause.instance"
	keyVersion         = "rca.root_cause.version"
	keyHost            = "rca.root_cause.host"
	keyZone            = "rca.root_cause.zone"
	keyEntries         = "rca.entry.operations"
	keyTrigger         = "rca.trigger"
	keyPropagation     = "rca.propagation.nodes"
	keyAmplifiers      = "rca.amplifiers"
	keyHurt            = "rca.hurt.requests"
	keyCandidates      = "rca.candidates"
	keyCandidateScores = "rca.candidate.scores"
	keyImpacted        = "rca.impacted.nodes"
	keyEvidence        = "rca.evidence"
	keyDetectionDelay  = "rca.detection.delay"
	keyDuration        = "rca.incident.duration"
	keyTimeline        = "rca.timeline"
)

// Names of event records.
const (
	eventOpened   = "rca.incident.opened"
	eventUpdated  = "rca.incident.updated"
	eventResolved = "rca.incident.resolved"
)

// Attributes returns what the processor writes, key by key.
func Attributes() []keys.Key {
	const all = keys.Spans | keys.Logs | keys.Events
	return []keys.Key{
		{Name: keyIncidentID, In: all, Type: keys.String, Example: "postgresql-shop-d547",
			Meaning: "the incident; the same on replicas that find the same root in the same minute"},
		{Name: keyRole, In: keys.Spans | keys.Logs, Type: keys.String, Example: "root_cause",
			Meaning: "what the item's node is in it: `root_cause` or `symptom`; a node that emits no spans is seen in its callers' calls"},
		{Name: keyNode, In: all, Type: keys.String, Example: "postgresql/shop",
			Meaning: "the root cause: service `namespace/name`, database `system/namespace`, topic `system/name`, an address, or what several nodes have in common: a broker (`kafka`), a host by its name, a zone (`zone/b`); `unknown` when nothing explains the trouble well enough"},
		{Name: keyKind, In: all, Type: keys.String, Example: "database",
			Meaning: "`service`, `database`, `messaging`, `external`, `host`, `zone`, `unknown`"},
		{Name: keyReason, In: all, Type: keys.String, Example: "latency",
			Meaning: "what its calls show: `errors`, `latency`, `unavailable`, `throttled`, `saturation`, `dns`, `tls`, `auth`, `client_rejected`, `shed`, `fan_out`, `vanished`, `lag`"},
		{Name: keyScore, In: all, Type: keys.Double, Example: "0.93",
			Meaning: "0 to 1: the share of the hurt requests that it explains, less where its own record does not stray"},
		{Name: keyPath, In: all, Type: keys.String, Example: "shop/gateway > shop/orders > postgresql/shop",
			Meaning: "the way from the entry to the root"},
		{Name: keyWarnings, In: keys.Spans, Type: keys.Strings, Example: "Hurt in incident postgresql-shop-d547, whose root cause is postgresql/shop (latency).",
			Meaning: "one sentence that Jaeger's UI shows as a warning; with `jaeger_warnings` only"},

		{Name: keyCause, In: keys.Events, Type: keys.String, Example: "db_slow",
			Meaning: "in what way it is guilty: `code_error`, `code_slow`, `cpu_throttle`, `pause`, `accept_queue`, `network`, `conn_pool`, `db_slow`, `ext_slow`, `unreachable`, `dns`, `tls`, `auth`, `throttled`, `consumer_slow`, `producer_flood`, `broker`, `poison`, `hot_partition`, `bad_version`, `bad_instance`, `bad_host`, `zone`, `behaviour_change`, `overload`, `metastable`, `drift_leak`, `client_rejected`, `unknown`"},
		{Name: keyInstance, In: keys.Events, Type: keys.String, Example: "orders-2", Meaning: "the replica, where one stands out"},
		{Name: keyVersion, In: keys.Events, Type: keys.String, Example: "1.8.0", Meaning: "the version, where one stands out"},
		{Name: keyHost, In: keys.Events, Type: keys.String, Example: "node-7", Meaning: "the host, where all guilty replicas run on one"},
		{Name: keyZone, In: keys.Events, Type: keys.String, Example: "b", Meaning: "the zone, where all guilty replicas are in one"},
		{Name: keyCandidates, In: keys.Events, Type: keys.Strings, Example: "postgresql/shop, shop/fulfilment",
			Meaning: "the likeliest causes in order, the root first"},
		{Name: keyCandidateScores, In: keys.Events, Type: keys.Doubles, Example: "0.93, 0.03", Meaning: "their scores, in the same order"},
		{Name: keyImpacted, In: keys.Events, Type: keys.Strings, Example: "shop/gateway, shop/orders", Meaning: "nodes that are hurt and not guilty"},
		{Name: keyEntries, In: keys.Events, Type: keys.Strings, Example: "shop/gateway POST /checkout", Meaning: "the operations at which it is felt"},
		{Name: keyHurt, In: keys.Events, Type: keys.Int, Example: "284",
			Meaning: "requests and records that it hurt in the time that the verdict looks at, a minute at the most"},
		{Name: keyTrigger, In: keys.Events, Type: keys.String, Example: "traffic: requests come 3.2 times as often as usual",
			Meaning: "what set it off, as far as it is known: a deployment, traffic"},
		{Name: keyPropagation, In: keys.Events, Type: keys.Strings, Example: "shop/orders, shop/gateway",
			Meaning: "the nodes that passed it on, from the root outwards; topics in which records lie late among them"},
		{Name: keyAmplifiers, In: keys.Events, Type: keys.Strings, Example: "shop/gateway -> shop/orders",
			Meaning: "calls whose retries make it worse"},
		{Name: keyEvidence, In: keys.Events, Type: keys.Strings, Example: "281 of 304 hurt requests lead to postgresql/shop, …",
			Meaning: "sentences with numbers against normal; those that begin with *Less likely* say what was ruled out"},
		{Name: keyDetectionDelay, In: keys.Events, Type: keys.Double, Example: "8.4", Meaning: "seconds of event time from the onset to the opening"},
		{Name: keyDuration, In: keys.Events, Type: keys.Double, Example: "54.2", Only: eventResolved, Meaning: "seconds from the onset to the end"},
		{Name: keyTimeline, In: keys.Events, Type: keys.Strings, Example: "11:37:49Z Onset: …", Only: eventResolved,
			Meaning: "the incident in order of time, a UTC clock time and a sentence each: onset, each node's first move, breakers as the spans showed them, each word on the cause, the last trouble, the end"},
	}
}

// Events returns the event records that the processor sends.
func Events() []keys.Event {
	return []keys.Event{
		{Name: eventOpened, Severity: "ERROR", When: "a cause was named, or none could be for `incident::patience`; its time is the onset"},
		{Name: eventUpdated, Severity: "WARN", When: "there is news of it, once in `incident::update_interval` at the most; its time is the onset"},
		{Name: eventResolved, Severity: "INFO", When: "all was well for `incident::resolve_after`, or it lasted for `incident::max_duration` and is stale; its time is the end. It is the [incident's report](incident-report.md)"},
	}
}

const pathSeparator = " > "

// annotation is what an open incident writes on spans and log records.
type annotation struct {
	id, node, kind, reason, path string
	score                        float64
}

func annotationOf(in *incident.Incident) *annotation {
	v := &in.Verdict
	return &annotation{
		id: in.ID, node: v.Root, kind: v.Kind, reason: v.Reason, score: v.Score,
		path: strings.Join(v.Path, pathSeparator),
	}
}

// write puts the annotation on an item. What the user has set stays.
func (a *annotation) write(m pcommon.Map, role engine.Role) {
	m.EnsureCapacity(m.Len() + maxAttributes)
	put(m, keyIncidentID, a.id)
	put(m, keyRole, role.String())
	put(m, keyNode, a.node)
	put(m, keyKind, a.kind)
	put(m, keyReason, a.reason)
	if _, ok := m.Get(keyScore); !ok {
		m.PutDouble(keyScore, a.score)
	}
	put(m, keyPath, a.path)
}

// warn puts a sentence on a span where Jaeger shows it. What is there stays.
func (a *annotation) warn(m pcommon.Map, role engine.Role) {
	if _, ok := m.Get(keyWarnings); !ok {
		m.PutEmptySlice(keyWarnings).AppendEmpty().SetStr(a.sentence(role))
	}
}

func (a *annotation) sentence(role engine.Role) string {
	switch {
	case a.node == incident.Unknown:
		return "Hurt in incident " + a.id + ", whose root cause is not known."
	case role == engine.RootCause:
		return "Root cause of incident " + a.id + ": " + a.node + " (" + a.reason + ")."
	}
	return "Hurt in incident " + a.id + ", whose root cause is " + a.node + " (" + a.reason + ")."
}

func put(m pcommon.Map, key, value string) {
	if _, ok := m.Get(key); !ok && value != "" {
		m.PutStr(key, value)
	}
}
