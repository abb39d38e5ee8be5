// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package incident gives verdicts a life: opened, updated when they are revised, resolved when all has been
// well for a while. Each cause has its own incident.
package incident

import "slices"

// Policy says when an incident opens, changes and ends. Durations in nanoseconds.
type Policy struct {
	Confidence   float64 // the least score that names a cause
	Patience     int64   // after so long without a cause an incident opens as Unknown
	UpdateEvery  int64   // at most one update in so long
	Margin       float64 // a root must lead by so much
	ResolveAfter int64   // all must have been well for so long
	ReopenWithin int64   // the same root again within so long is the same incident
	MaxDuration  int64   // what has been open for so long is normal from then on; 0 for never
}

// Observation is what one second brought.
type Observation struct {
	Now   int64 // end of the second, event time
	Head  int64 // newest event time seen
	Alarm bool  // a gate is open
	Onset int64 // of the alarm
	// Verdicts ranks what was seen from a time until now: a verdict for each cause that stands for itself, the
	// likeliest first, one at the least. What follows from the open incidents' roots is no cause.
	Verdicts func(from int64, open []string) []Verdict
	// Health returns the latest second that spoke against normal where an incident is felt, and whether nothing
	// has been heard there since.
	Health func(in *Incident) (lastBad int64, silent bool)
}

const (
	// silence is not health: it takes so many times longer to end an incident.
	silence = 10
	// agree is for how long a first cause must have been named, alone the same of one beside it, whose symptoms
	// may yet turn out to be the first one's.
	agree, alone = 1e9, 7e9
	// lookEvery is how often an open incident is looked at again, and further causes are looked for; recent is
	// how far back these may lie.
	lookEvery, recent = 5e9, 60e9
	// maxOpen and maxPast bound the incidents held.
	maxOpen, maxPast = 16, 16
)

// Keeper holds the life of incidents. The zero Keeper with a Policy is ready to use.
type Keeper struct {
	Policy  Policy
	open    []*Incident // in the order in which they opened
	past    []*Incident // resolved, the latest last
	alarm   int64       // since when there is an alarm without an incident
	looked  int64       // when open incidents were looked at last
	streaks []streak    // of the causes that the latest verdicts named

	Beyond Beyond
}

// Beyond counts what there was no room for.
type Beyond struct {
	Open   int64 // times that a cause got no incident because too many are open
	Past   int64 // resolved incidents that were forgotten while the same trouble could still be theirs
	Untold int64 // changes that an incident's history has no room for
}

// Add adds other's counts.
func (b *Beyond) Add(other Beyond) {
	b.Open += other.Open
	b.Past += other.Past
	b.Untold += other.Untold
}

// streak is since when verdicts running have named a root.
type streak struct {
	Root  string
	Since int64
}

// Open returns the open incidents in the order in which they opened; read only.
func (k *Keeper) Open() []*Incident { return k.open }

// Step takes one second's observation; it returns the incidents that opened, changed or ended, as they stand.
func (k *Keeper) Step(o Observation) (changed []Incident) {
	var over []*Incident
	k.open = slices.DeleteFunc(k.open, func(in *Incident) bool {
		if k.over(in, &o) {
			over = append(over, in)
			return true
		}
		return false
	})
	for _, in := range over {
		changed = append(changed, k.resolve(in, &o))
	}
	switch {
	case len(changed) > 0:
	case len(k.open) == 0:
		changed = k.mayOpen(&o)
	case o.Alarm && (o.Now-k.looked >= lookEvery || k.pending()):
		k.looked = o.Now
		changed = append(k.mayUpdate(&o), k.mayJoin(&o)...)
	}
	return changed
}

func (k *Keeper) over(in *Incident, o *Observation) bool {
	bad, silent := o.Health(in)
	in.LastBad = max(in.LastBad, bad) // a gate that has come to rest is not asked again
	well := o.Now - max(in.LastBad, in.Detected)
	if well >= k.Policy.ResolveAfter && !silent || well >= silence*k.Policy.ResolveAfter {
		return true
	}
	in.Stale = k.Policy.MaxDuration > 0 && o.Now-in.Detected >= k.Policy.MaxDuration
	return in.Stale
}

// Rewind tells the Keeper that the clock was wrong and has been set back to now.
func (k *Keeper) Rewind(now int64) {
	k.alarm, k.looked, k.streaks, k.past = 0, 0, nil, nil
	for _, in := range k.open {
		in.Onset, in.Detected = min(in.Onset, now), min(in.Detected, now)
		in.Seen, in.Changed, in.LastBad = min(in.Seen, now), min(in.Changed, now), min(in.LastBad, now)
		in.History = slices.Clone(in.History)
		for i := range in.History {
			in.History[i].At = min(in.History[i].At, now)
		}
	}
}

// named takes note of the causes that verdicts name, and returns for how long running each was.
func (k *Keeper) named(vs []Verdict, now int64) []int64 {
	next, long := make([]streak, len(vs)), make([]int64, len(vs))
	for i := range vs {
		next[i] = streak{vs[i].Root, now}
		for _, s := range k.streaks {
			if s.Root == vs[i].Root {
				next[i].Since = s.Since
			}
		}
		long[i] = now - next[i].Since
	}
	k.streaks = next
	return long
}

// pending says that a cause was named that has no incident yet.
func (k *Keeper) pending() bool {
	open := k.roots(nil)
	return slices.ContainsFunc(k.streaks, func(s streak) bool { return !slices.Contains(open, s.Root) })
}

func (k *Keeper) mayOpen(o *Observation) (changed []Incident) {
	if !o.Alarm {
		k.alarm, k.streaks = 0, nil
		return nil
	}
	if k.alarm == 0 {
		k.alarm = o.Now
	}
	vs := o.Verdicts(o.Onset, nil)
	long := k.named(vs, o.Now)
	for i := range vs {
		need := int64(agree)
		if i > 0 {
			need = alone
		}
		if long[i] < need || vs[i].Score < k.Policy.Confidence || !leads(&vs[i], k.Policy.Margin) {
			break
		}
		changed = append(changed, k.begin(o, vs[i]))
	}
	if len(changed) == 0 && o.Now-k.alarm >= k.Policy.Patience {
		v := vs[0]
		if v.Score < k.Policy.Confidence {
			v = unknown(v)
		}
		changed = append(changed, k.begin(o, v))
	}
	return changed
}

// begin opens an incident.
func (k *Keeper) begin(o *Observation, v Verdict) Incident {
	onset := onset(o, &v)
	in := &Incident{State: Opened, Onset: onset, Detected: o.Now, Seen: o.Head, Delay: o.Head - onset, Changed: o.Now, Verdict: v}
	in.ID = id(v, onset)
	for n := int64(1); k.taken(in.ID, v.Root); n++ {
		in.ID = id(v, onset+n*minute)
	}
	for _, l := range k.past {
		if l.Verdict.Root == v.Root && o.Now-l.Resolved <= k.Policy.ReopenWithin {
			in.ID, in.Onset = l.ID, l.Onset
			in.History, in.Untold = slices.Clone(l.History), l.Untold
		}
	}
	k.note(in)
	k.open = append(k.open, in)
	return *in
}

// taken says that an incident with another root, or an open one, has this id.
func (k *Keeper) taken(id, root string) bool {
	return slices.ContainsFunc(k.open, func(in *Incident) bool { return in.ID == id }) ||
		slices.ContainsFunc(k.past, func(in *Incident) bool { return in.ID == id && in.Verdict.Root != root })
}

// onset is when the first call of the root began. The alarm is raised by those who waited for it, so it is late
// by their timeouts, or early by whatever was amiss before.
func onset(o *Observation, v *Verdict) int64 {
	const longestWait = 10e9
	if v.Root == Unknown || v.Onset < o.Onset-longestWait || v.Onset > o.Now {
		return o.Onset
	}
	return v.Onset
}

// mayUpdate looks whether there is news of the open incidents.
func (k *Keeper) mayUpdate(o *Observation) (changed []Incident) {
	for _, in := range k.open {
		if o.Now-in.Changed < k.Policy.UpdateEvery {
			continue
		}
		v, ok := k.revised(in, o)
		if !ok {
			continue
		}
		in.State, in.Seen, in.Changed, in.Verdict = Updated, o.Head, o.Now, v
		k.note(in)
		changed = append(changed, *in)
	}
	return changed
}

// revised returns what is to be said of an incident now, if it is something else than before.
func (k *Keeper) revised(in *Incident, o *Observation) (Verdict, bool) {
	others := k.roots(in)
	vs := o.Verdicts(in.Onset, others)
	for i := range vs {
		if vs[i].Root == in.Verdict.Root {
			return vs[i], news(&in.Verdict, &vs[i])
		}
	}
	for i := range vs {
		v := &vs[i]
		if !slices.Contains(others, v.Root) {
			return *v, v.Score >= k.Policy.Confidence && v.Score >= score(v.Ranked, in.Verdict.Root)+k.Policy.Margin
		}
	}
	return Verdict{}, false
}

// mayJoin looks for causes beside those of the open incidents.
func (k *Keeper) mayJoin(o *Observation) (changed []Incident) {
	open := k.roots(nil)
	if slices.Contains(open, Unknown) {
		return nil
	}
	vs := o.Verdicts(max(o.Onset, o.Now-recent), open)
	long := k.named(vs, o.Now)
	for i := range vs {
		v := &vs[i]
		if slices.Contains(open, v.Root) || v.Score < k.Policy.Confidence || long[i] < alone {
			continue
		}
		if len(k.open) == maxOpen {
			k.Beyond.Open++
			continue
		}
		for _, m := range v.Moves {
			if m.Node == v.Root { // some of its calls are slow all the time: those are not its onset
				v.Onset = m.At
			}
		}
		if !k.dealtWith(v) {
			changed = append(changed, k.begin(o, *v))
		}
	}
	return changed
}

// dealtWith says that the verdict is about what a past incident was about.
func (k *Keeper) dealtWith(v *Verdict) bool {
	return slices.ContainsFunc(k.past, func(l *Incident) bool { return l.Verdict.Root == v.Root && v.Onset <= l.LastBad })
}

// roots returns those of the open incidents but one.
func (k *Keeper) roots(but *Incident) (out []string) {
	for _, in := range k.open {
		if in != but {
			out = append(out, in.Verdict.Root)
		}
	}
	return out
}

func (k *Keeper) resolve(in *Incident, o *Observation) Incident {
	for _, v := range o.Verdicts(in.Onset, k.roots(in)) {
		if v.Root == in.Verdict.Root {
			in.Verdict = v // the last word on it
		}
	}
	in.State, in.Seen, in.Changed, in.Resolved = Resolved, o.Head, o.Now, o.Now
	k.note(in)
	k.retire(in)
	return *in
}

// retire remembers a resolved incident.
func (k *Keeper) retire(in *Incident) {
	k.alarm, k.streaks = 0, nil
	if k.past = append(k.past, in); len(k.past) > maxPast {
		if in.Resolved-k.past[0].Resolved <= k.Policy.ReopenWithin {
			k.Beyond.Past++
		}
		k.past = slices.Delete(k.past, 0, 1)
	}
}
