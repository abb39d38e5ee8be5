// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Whatever is known: Would names the rule by which a step opens, changes nothing, and takes no notice of a veto, which
// is what its caller asks for.
func TestWouldIsWhatStepDoes(t *testing.T) {
	reasons := map[Reason]bool{}
	rapid.Check(t, func(t *rapid.T) {
		cfg := testConfig()
		cfg.SlowRatio, cfg.SlowCalls, cfg.FailureCount, cfg.Consecutive = 0.5, 20, 90, 7
		sums := func(label string) Sums {
			n := rapid.IntRange(0, 200).Draw(t, label)
			s := calls(n, min(n, rapid.SampledFrom([]int{0, 1, n / 4, n / 2, n}).Draw(t, label+" bad")))
			if rapid.Bool().Draw(t, label+" hang") {
				s = hanging(int(s.Calls), int(s.Bad))
			}
			s.Slow = rapid.SampledFrom([]uint32{0, s.Calls}).Draw(t, label+" slow")
			s.Pending = rapid.SampledFrom([]uint32{0, s.Bad}).Draw(t, label+" pending")
			return s
		}
		r := Recent{
			Window: sums("window"), Fast: sums("fast"), Row: rapid.Uint32Range(0, 9).Draw(t, "row"),
			Usual: rapid.SampledFrom([]float64{0, 0.25, 0.5}).Draw(t, "usual"), Veto: rapid.Bool().Draw(t, "veto"),
		}
		now, warm := rapid.Int64Range(0, 9).Draw(t, "now"), rapid.Int64Range(0, 9).Draw(t, "warm")
		b := New(cfg, 1, warm)
		before := b
		would := b.Would(now, &r)
		require.Equal(t, before, b)
		reasons[would] = true
		vetoed := r
		r.Veto = false
		require.Equal(t, would, b.Would(now, &r))
		tr, changed := b.Step(now, &r)
		require.Equal(t, would != NoReason, changed)
		require.Equal(t, would, tr.Reason)
		if vetoed.Veto {
			_, changed = before.Step(now, &vetoed)
			require.False(t, changed)
		}
	})
	for r := range reasons {
		assert.Contains(t, []Reason{NoReason, FailureRate, FastFailureRate, FailureLoad, Consecutive, FailureCount, SlowRate}, r)
	}
	assert.GreaterOrEqual(t, len(reasons), 4, "else it says little")
}

func TestWouldOfOneThatIsNotClosed(t *testing.T) {
	bad := Recent{Window: calls(100, 100)}
	for name, other := range map[string]state{
		"open": &open{trial: newTrial(0)}, "half-open": newHalfOpen(0, 1), "forced": forcedOpen{}, "disabled": disabled{},
	} {
		b := New(testConfig(), 1, 0)
		require.Equal(t, FailureRate, b.Would(0, &bad))
		b.other = other
		assert.Equal(t, NoReason, b.Would(0, &bad), name)
	}
	b := New(testConfig(), 1, second)
	assert.Equal(t, NoReason, b.Would(second-1, &bad), "mute")
	assert.Equal(t, FailureRate, b.Would(second, &bad))
}

// What is configured anew holds from then on, in every state; what was counted and set before stays.
func TestConfigure(t *testing.T) {
	cfg, other := testConfig(), testConfig()
	other.FailureRatio, other.OpenDuration, other.CloseRatio = 0.9, 60*second, 0.6
	some := Recent{Window: calls(100, 50), Expected: 10}
	b := New(cfg, 1, 0)
	require.Same(t, cfg, b.Config())
	require.Equal(t, FailureRate, b.Would(0, &some))
	b.Configure(other)
	require.Same(t, other, b.Config())
	assert.Equal(t, NoReason, b.Would(0, &some))
	_, changed := b.Step(0, &some)
	require.False(t, changed)

	b.Configure(cfg)
	tr, changed := b.Step(0, &some)
	require.True(t, changed)
	require.Equal(t, 5*second, tr.Until)
	b.Configure(other)
	assert.Equal(t, 5*second, b.Until(), "this period was told already")
	b.Call(0, calls(50, 0))
	b.Step(5*second, &some)
	assert.Equal(t, 65*second, b.Until(), "half of them fail, which is well now: the first attempt still")
	tr, _ = b.Step(6*second, &some)
	assert.Equal(t, Recovered, tr.Reason)
}

// A ramp that gets shorter: the last share that there is, and after it all.
func TestConfigureShorterRamp(t *testing.T) {
	for _, ramp := range [][]float64{{0.2}, {0.2, 0.4}, nil} {
		b, at := half(nil)
		b.other.(*halfOpen).share = 3
		require.Equal(t, 1.0, b.Admit())
		shorter := testConfig()
		shorter.Ramp = ramp
		b.Configure(shorter)
		want := 1.0
		if len(ramp) > 0 {
			want = ramp[len(ramp)-1]
		}
		assert.Equal(t, want, b.Admit())
		b.Call(at, calls(10, 0))
		tr, _ := b.Step(at+10*second, &Recent{})
		assert.Equal(t, Recovered, tr.Reason)
	}
}
