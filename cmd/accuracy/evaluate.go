// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor"
)

// result is one case as judged.
type result struct {
	incident *incident
	rank     int // of the right service; 0 when it was not named
	named    []string
	scores   []float64
	latency  int // its rank by the largest increase of latency
	errors   int // its rank by most errors, then latency
	ablated  map[string]int
	lost     [3]int64 // spans, observations, logs that could not be used
}

// lostAloud is how much may be lost without a word: the clock takes some spans to believe in a gap between runs.
const lostAloud = 100

// scored is a name with a score; the higher the guiltier.
type scored struct {
	name  string
	score float64
}

var families = []string{"own_time", "gap", "structure", "errors", "logs"}

func evaluate(set *labels, o options, stdout, stderr io.Writer) ([]result, error) {
	baselines := map[*baseline]recording{}
	var out []result
	for i := range set.Cases {
		c := &set.Cases[i]
		if !strings.Contains(c.ID, o.only) {
			continue
		}
		b := set.baseline(c)
		if b == nil {
			fmt.Fprintf(stderr, "%s: no baseline of system %s; what lies before the injection is all there is\n", c.ID, c.System)
		} else if _, ok := baselines[b]; !ok {
			clear(baselines) // one at a time is enough memory
			rec, err := set.read(b.Files, o)
			if err != nil {
				return nil, err
			}
			baselines[b] = rec
		}
		r, err := set.judge(c, baselines[b], o, stdout)
		if err != nil {
			r = &result{incident: c}
			fmt.Fprintf(stdout, "%s could not be read and counts as missed: %v\n", c.ID, err)
		}
		out = append(out, *r)
		if r.lost[0]+r.lost[1]+r.lost[2] > lostAloud {
			fmt.Fprintf(stderr, "      not used: %d spans, %d observations, %d log records\n", r.lost[0], r.lost[1], r.lost[2])
		}
		fmt.Fprintf(stderr, "%2d/%d %-62s rank %d  %s\n", i+1, len(set.Cases), c.ID, r.rank, strings.Join(r.named[:min(3, len(r.named))], " > "))
	}
	return out, nil
}

func (l *labels) judge(c *incident, normal recording, o options, stdout io.Writer) (*result, error) {
	r := &result{incident: c, ablated: map[string]int{}}
	rec, err := l.read(c.Files, o)
	if err != nil {
		return nil, err
	}
	if len(rec) == 0 {
		return r, nil
	}
	injected, err := c.injected()
	if err != nil {
		return nil, err
	}
	first, last := rec.span()
	normal.place(min(first, injected.UnixNano()))

	x := rcaprocessor.NewExplainer()
	ref := newReference(injected.UnixNano())
	for _, part := range []recording{normal, rec} {
		for i := range part {
			if part[i].isLogs {
				x.Logs(part[i].logs)
			} else {
				x.Traces(part[i].traces)
			}
			ref.learn(&part[i])
		}
	}
	to := time.Unix(0, last+1)
	suspects := x.ExplainWithout(injected, to, o.without...)
	r.lost[0], r.lost[1], r.lost[2] = x.Lost()
	list := services(suspects)
	r.rank = rankOf(list, c.Truth.Service)
	for _, s := range list {
		r.named = append(r.named, s.name)
		r.scores = append(r.scores, s.score)
	}
	r.latency = rankOf(ref.byLatency(), c.Truth.Service)
	r.errors = rankOf(ref.byErrors(), c.Truth.Service)
	if o.ablate {
		for _, f := range families {
			r.ablated["-"+f] = rankOf(services(x.ExplainWithout(injected, to, f)), c.Truth.Service)
			r.ablated[f] = rankOf(services(x.ExplainWithout(injected, to, others(f)...)), c.Truth.Service)
		}
	}
	if o.explain {
		explain(stdout, c, r, suspects)
	}
	return r, nil
}

func others(family string) (out []string) {
	for _, f := range families {
		if f != family {
			out = append(out, f)
		}
	}
	return out
}

func services(suspects []rcaprocessor.Suspect) (out []scored) {
	for _, s := range suspects {
		if s.Service {
			out = append(out, scored{s.Name, s.Score})
		}
	}
	return out
}

// rankOf is the worst place that the named one may claim: others with the same score stand before it. 0
// when it is not there, or nothing speaks against it.
func rankOf(list []scored, name string) int {
	for _, s := range list {
		if s.name != name || s.score <= 0 {
			continue
		}
		rank := 0
		for _, t := range list {
			if t.score >= s.score {
				rank++
			}
		}
		return rank
	}
	return 0
}

func explain(w io.Writer, c *incident, r *result, suspects []rcaprocessor.Suspect) {
	fmt.Fprintf(w, "\n%s (%s): truth %s, rank %d\n", c.ID, c.FaultType, c.Truth.Service, r.rank)
	for i, s := range suspects {
		if i >= 3 && s.Name != c.Truth.Service {
			continue
		}
		fmt.Fprintf(w, "  %d. %s %.3f %v\n", i+1, s.Name, s.Score, s.Families)
		for _, e := range s.Evidence {
			fmt.Fprintf(w, "       %s\n", e)
		}
	}
}
