// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package outlier

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type conformanceRule struct {
	StdevFactor           float64
	Threshold             float64
	EnforcementPercentage *float64
	MinimumHosts          uint32
	RequestVolume         uint32
}

func (r *conformanceRule) enforced() bool {
	return r != nil && (r.EnforcementPercentage == nil || *r.EnforcementPercentage > 0)
}

type conformanceCase struct {
	ID, Title string

	Hosts           int
	Requests        uint32   `json:"requests_per_host"`
	Failures        []uint32 `json:"failures_per_host"`
	ExpectedEjected []int    `json:"expected_envoy_from_source"`
	Config          *struct {
		MaxEjectionPercent        float64
		SuccessRateEjection       *conformanceRule
		FailurePercentageEjection *conformanceRule
	} `json:"grpc_config"`

	Base      int64 `json:"base_ms"`
	Max       int64 `json:"max_ms"`
	Ejections []int
	Expected  []int64 `json:"expected_ms"`

	Threshold uint32
	Outcomes  string
}

// Every case: of the hosts of an interval, of how long an ejection lasts, of failures in a row.
func TestConformance(t *testing.T) {
	files := map[string]string{"own": filepath.Join("..", "..", "testdata", "conformance.json")}
	if name := os.Getenv("FIREBREAK_CONFORMANCE"); name != "" {
		files["given"] = name
	}
	for label, name := range files {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		var file struct {
			Cases []conformanceCase `json:"ejection_cases"`
		}
		require.NoError(t, json.Unmarshal(text, &file), name)
		if label == "own" {
			require.NotEmpty(t, file.Cases)
		}
		for _, c := range file.Cases {
			t.Run(label+"/"+c.ID, func(t *testing.T) {
				t.Log(c.Title)
				switch {
				case c.Config != nil:
					c.hosts(t)
				case len(c.Expected) > 0:
					c.times(t)
				case c.Outcomes != "":
					c.row(t)
				default:
					t.Skip("states nothing that is known here")
				}
			})
		}
	}
}

func (c *conformanceCase) hosts(t *testing.T) {
	hosts := make([]Host, c.Hosts)
	for i := range hosts {
		hosts[i].Requests = c.Requests
		if i < len(c.Failures) {
			hosts[i].Failures = c.Failures[i]
		}
	}
	cfg := Config{MaxEjected: c.Config.MaxEjectionPercent}
	if r := c.Config.SuccessRateEjection; r.enforced() {
		cfg.SuccessRate, cfg.StdevFactor = Rule{r.RequestVolume, r.MinimumHosts}, r.StdevFactor/1000
	}
	if r := c.Config.FailurePercentageEjection; r.enforced() {
		cfg.FailurePercentage, cfg.FailureThreshold = Rule{r.RequestVolume, r.MinimumHosts}, r.Threshold
	}
	got := cfg.Eject(hosts, 0)
	assert.ElementsMatch(t, c.ExpectedEjected, got)
}

func (c *conformanceCase) times(t *testing.T) {
	require.Len(t, c.Expected, len(c.Ejections))
	var e Ejections
	done := 0
	for i, n := range c.Ejections {
		require.Greater(t, n, done)
		var got int64
		for ; done < n; done++ {
			got = e.Eject(c.Base, c.Max)
		}
		assert.Equal(t, c.Expected[i], got, "ejection %d", n)
	}
}

var outcomes = regexp.MustCompile(`(after return )?([FS]+) -> (\w*)`)

func (c *conformanceCase) row(t *testing.T) {
	parts := outcomes.FindAllStringSubmatch(c.Outcomes, -1)
	require.NotEmpty(t, parts, "can't read %q", c.Outcomes)
	var e Ejections
	for _, p := range parts {
		require.Contains(t, []string{"eject", "in"}, p[3], "can't read %q", p[0])
		if p[1] != "" {
			e.Return()
		}
		for i, o := range p[2] {
			last := i == len(p[2])-1
			assert.Equal(t, last && p[3] == "eject", e.Request(o == 'F', c.Threshold), "%s, request %d", p[0], i+1)
		}
	}
}
