// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package contrast

import (
	"cmp"
	"slices"
)

// said is what a node's log lines are, whether or not they name a span.
type said struct {
	all, joined tallies      // lines; those whose trace came
	rows        [2][]lineRow // plain and grave ones by template, in order
}

// lineRow is the lines of a template, where they are grave by replica.
type lineRow struct {
	lineKey
	tallies
}

type lineKey struct {
	template uint64
	instance Instance // 0 where that is not told apart
}

func (k lineKey) compare(o lineKey) int {
	return cmp.Or(cmp.Compare(k.template, o.template), cmp.Compare(k.instance, o.instance))
}

func kindOf(grave bool) int {
	if grave {
		return 1
	}
	return 0
}

// Line counts a log line of node n, of a template, written at event time at by a replica.
func (s *Store) Line(at int64, n Node, in Instance, template uint64, grave bool) {
	sd := &s.node(n).said
	if !s.fresh(&sd.all) {
		return
	}
	t := cellOf(at)
	s.tally(&sd.all, t)
	if !grave {
		in = 0
	}
	if row := s.line(sd, kindOf(grave), lineKey{template, in}); row != nil {
		s.tally(row, t)
	}
}

// Joined counts a log line of node n whose trace came.
func (s *Store) Joined(at int64, n Node) { s.failure(at, &s.node(n).said.joined) }

// Felt counts a span of node n one of whose calls failed.
func (s *Store) Felt(at int64, n Node) { s.failure(at, &s.node(n).felt) }

// line returns the row of a kind and key. Where a node has too many grave ones its replicas are not told apart, and
// then not its templates: that there are grave lines stays known.
func (s *Store) line(sd *said, kind int, key lineKey) *tallies {
	rows, asked := &sd.rows[kind], key.template
	for {
		i, found := slices.BinarySearchFunc(*rows, key, func(r lineRow, k lineKey) int { return r.lineKey.compare(k) })
		switch {
		case found:
			if key.template != asked {
				s.speechless++
			}
			return &(*rows)[i].tallies
		case len(*rows) < maxLines/2 || len(*rows) < maxLines && key.instance == 0 || len(*rows) == maxLines && kind == 1 && key == lineKey{}:
			if s.lines >= maxLineRows {
				s.speechless++
				return nil
			}
			if key.template != asked {
				s.speechless++
			}
			s.lines++
			s.layout++
			*rows = slices.Insert(*rows, i, lineRow{lineKey: key})
			return &(*rows)[i].tallies
		case key.instance != 0:
			key.instance = 0
		case kind == 1 && key.template != 0:
			key.template = 0
		default:
			s.speechless++
			return nil
		}
	}
}

// Speechless returns how many log lines found no row of their own.
func (s *Store) Speechless() int64 { return s.speechless }

// each calls f for all of it.
func (sd *said) each(f func(*tallies)) {
	f(&sd.all)
	f(&sd.joined)
	for kind := range sd.rows {
		for i := range sd.rows[kind] {
			f(&sd.rows[kind][i].tallies)
		}
	}
}

// forgetLines adds lines of replicas that stand for nothing any more to those of no replica.
func (s *Store) forgetLines(sd *said, instance func(Instance) bool) {
	var gone []lineRow
	sd.rows[1] = slices.DeleteFunc(sd.rows[1], func(r lineRow) bool {
		if r.instance == 0 || instance(r.instance) {
			return false
		}
		gone = append(gone, r)
		return true
	})
	s.lines -= len(gone)
	for i := range gone {
		if into := s.line(sd, 1, lineKey{template: gone[i].template}); into != nil {
			into.merge(&gone[i].tallies)
		}
	}
}

func (s *Store) mergeLines(sd, other *said, instance func(Instance) Instance) {
	s.mergeTallies(&sd.all, &other.all)
	s.mergeTallies(&sd.joined, &other.joined)
	for kind := range other.rows {
		for i := range other.rows[kind] {
			from := &other.rows[kind][i]
			key := from.lineKey
			if key.instance != 0 {
				key.instance = instance(key.instance)
			}
			if into := s.line(sd, kind, key); into != nil {
				s.cells += int64(into.merge(&from.tallies)) * tallyBytes
			}
		}
	}
}

// Sweep drops features and lines that were not seen for as long as a series reaches back, and where there are as many
// as there may be those that came up once and not again.
func (s *Store) Sweep() {
	for i := range s.ops {
		row := &s.ops[i]
		crowded := len(row.features) >= plainFeatures
		row.features = slices.DeleteFunc(row.features, func(f feature) bool { return stale(&f.tallies, &row.runs, crowded) })
	}
	for i := range s.nodes {
		sd := &s.nodes[i].said
		for kind := range sd.rows {
			crowded := len(sd.rows[kind]) >= maxLines/2 || s.lines >= maxLineRows
			sd.rows[kind] = slices.DeleteFunc(sd.rows[kind], func(r lineRow) bool { return stale(&r.tallies, &sd.all, crowded) })
		}
	}
	s.count()
}

// stale says that of what all is part of these are of no more use.
func stale(of, all *tallies, crowded bool) bool {
	idle := all.newestMinute() - of.newestMinute()
	once := len(of.coarse)+len(of.fine) == 1 && of.window(span{0, latest}).n < leastCalls
	return idle >= ringMinutes || crowded && once && idle > quarantine/(minuteCells*cellWidth)
}
