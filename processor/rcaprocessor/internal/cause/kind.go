// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package cause says in what way a guilty component is guilty: it compares the signs of its trouble with the rows
// of a codebook.
package cause

// Kind is a kind of cause. Its zero value is Unknown.
type Kind uint8

const (
	Unknown Kind = iota
	CodeError
	CodeSlow
	CPUThrottle
	Pause
	AcceptQueue
	Network
	ConnPool
	DBSlow
	ExtSlow
	Unreachable
	DNS
	TLS
	Auth
	Throttled
	ConsumerSlow
	ProducerFlood
	Broker
	Poison
	HotPartition
	BadVersion
	BadInstance
	BadHost
	Zone
	BehaviourChange
	Overload
	Metastable
	DriftLeak
	ClientRejected
	numKinds
)

// String returns the name that stands in attributes.
func (k Kind) String() string {
	return [...]string{
		"unknown", "code_error", "code_slow", "cpu_throttle", "pause", "accept_queue", "network", "conn_pool",
		"db_slow", "ext_slow", "unreachable", "dns", "tls", "auth", "throttled", "consumer_slow", "producer_flood",
		"broker", "poison", "hot_partition", "bad_version", "bad_instance", "bad_host", "zone", "behaviour_change",
		"overload", "metastable", "drift_leak", "client_rejected",
	}[k]
}
