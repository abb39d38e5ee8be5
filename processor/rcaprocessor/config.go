// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor // import "github.com/firebreak-otel/firebreak/processor/rcaprocessor"

import (
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
)

// Config is the configuration of the rca processor.
type Config struct {
	// Lateness is how long after its end a span may arrive and still be counted.
	Lateness time.Duration `mapstructure:"lateness"`
}

func createDefaultConfig() component.Config {
	// SDKs batch for 5 s by default; twice that leaves room for one retry.
	return &Config{Lateness: 10 * time.Second}
}

// Validate refuses values that the engine cannot work with, with the key and the reason.
func (c *Config) Validate() error {
	if c.Lateness < 0 {
		return fmt.Errorf("lateness: must not be negative, is %v", c.Lateness)
	}
	return nil
}
