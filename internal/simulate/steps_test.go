// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

const toSearch = "gateway > search.shop.internal:8080 GET"

func gateway(step string) string {
	return "system: {services: {gateway: {operations: {GET /search: [" + step + "]}}}}\n"
}

func (m *tally) quantile(q float64) int64 {
	m.median()
	return m.took[int(q*float64(len(m.took)-1))]
}

func TestHedgesCutTheTail(t *testing.T) {
	const slow = "faults: [{kind: slow, target: search, ratio: 0.1, factor: 150}]"
	bare := run(t, gateway("{call: search, op: GET /query, timeout: 2s}")+slow)
	hedged := run(t, gateway("{call: search, op: GET /query, timeout: 2s, hedge: 80ms}")+slow)
	assert.Greater(t, bare.get("gateway GET /search").quantile(0.95), 400*ms)
	assert.Less(t, hedged.get("gateway GET /search").quantile(0.95), 250*ms)
	assert.Greater(t, hedged.get(toSearch).n, hedged.get("gateway GET /search").n)
	assert.Positive(t, hedged.get(toSearch).codes["*errors.errorString"], "the slower one is cancelled")
}

func TestRetriesHideWhatIsRare(t *testing.T) {
	const fail = "faults: [{kind: fail, target: search, ratio: 0.3}]"
	bare, retried := run(t, gateway("{call: search, op: GET /query, timeout: 2s}")+fail), run(t, gateway("{call: search, op: GET /query, timeout: 2s, retries: 3}")+fail)
	assert.InDelta(t, 0.3, bare.get("web GET /find").share(), 0.08)
	assert.Less(t, retried.get("web GET /find").share(), 0.05)
	assert.InDelta(t, 1.0/0.7, float64(retried.get(toSearch).n)/float64(retried.get("gateway GET /search").n), 0.15)
}

func TestFallbackAndIgnoredErrors(t *testing.T) {
	for _, step := range []string{"{call: search, op: GET /query, timeout: 2s, ignore_errors: true}", "{call: search, op: GET /query, timeout: 2s, fallback: [{work: 1ms}]}"} {
		s := run(t, gateway(step)+"faults: [{kind: fail, target: search, ratio: 1}]")
		assert.Zero(t, s.get("gateway GET /search").bad)
		assert.Greater(t, s.get(query).share(), 0.99)
		assert.Greater(t, s.logs["gateway WARN"], 100)
	}
}

func TestBreakerSparesTheCallee(t *testing.T) {
	s := run(t, gateway("{call: search, op: GET /query, timeout: 2s, breaker: true}")+"faults: [{kind: fail, target: search, ratio: 1}]")
	assert.Greater(t, s.get("gateway GET /search").share(), 0.99)
	assert.Less(t, s.get(toSearch).n, s.get("gateway GET /search").n*4/5)
}

func TestCancelledSiblings(t *testing.T) {
	const five = `{cancel_on_error: true, parallel: [[{call: search, op: GET /query, timeout: 2s}], [{call: catalog, op: "GET /items/{id}", timeout: 2s}]]}`
	s := run(t, gateway(five)+"faults: [{kind: fail, target: catalog, ratio: 1}, {kind: slow, target: search, factor: 20}]")
	assert.Greater(t, s.get("gateway GET /search").share(), 0.95)
	assert.Greater(t, s.get(toSearch).codes["*errors.errorString"], 100)
	assert.Zero(t, s.get(toSearch).bad, "cancelled is not failed")
}

func TestParallelBranchesTakeAsLongAsTheLongest(t *testing.T) {
	one := run(t, gateway("{work: 40ms}"))
	both := run(t, gateway("{parallel: [[{work: 40ms}], [{work: 2ms}]]}"))
	row := run(t, gateway("{work: 40ms, times: 3}"))
	assert.InEpsilon(t, one.get("gateway GET /search").median(), both.get("gateway GET /search").median(), 0.3)
	assert.Greater(t, row.get("gateway GET /search").median(), 2*one.get("gateway GET /search").median())
}

func TestLockLetsOneIn(t *testing.T) {
	const load = "load: {rate: 20}\nfaults: [{kind: surge, op: GET /find, factor: 10}]"
	free, locked := run(t, gateway("{work: 60ms}")+load), run(t, gateway("{lock: cart, work: 60ms}")+load)
	assert.Greater(t, locked.get("gateway GET /search").quantile(0.9), 2*free.get("gateway GET /search").quantile(0.9))
}

func TestShedding(t *testing.T) {
	s := run(t, "system: {services: {search: {instances: [2], workers: 1, queue: 1}}}\nfaults: [{kind: slow, target: search, factor: 150}]")
	took := s.get(toSearch).took
	slices.Sort(took)
	assert.Less(t, took[len(took)/4], 20*ms, "many are refused at once")
	assert.Greater(t, s.get(query).codes[""], 0)
	assert.Greater(t, s.get(query).share(), 0.3)
}

// What a caller has given up goes on only where the callee says so.
func TestAbandonedWork(t *testing.T) {
	work := func(policy string) *seen {
		return run(t, "system: {services: {search: {on_timeout: "+policy+"}, gateway: {operations: {GET /search: [{call: search, op: GET /query, timeout: 50ms}]}}}}\nfaults: [{kind: slow, target: search, factor: 60}]")
	}
	stopped, continued := work("stop"), work("continue")
	assert.Less(t, stopped.get(query).median(), 60*ms)
	assert.Greater(t, continued.get(query).median(), 200*ms)
	assert.Zero(t, stopped.get(store).n)
	assert.Positive(t, continued.get(store).n)
}
