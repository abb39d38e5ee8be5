// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

//go:generate mdatagen metadata.yaml

// Package rcaprocessor names the root cause of incidents in the telemetry that passes by.
package rcaprocessor // import "github.com/firebreak-otel/firebreak/processor/rcaprocessor"
