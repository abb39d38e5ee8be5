// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package blame

import (
	"slices"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

// Place is where replicas run: a host, or a zone; or the broker that has several topics. Of a component one is set.
type Place struct{ Host, Zone, Broker string }

// Name returns the place as a component.
func (p Place) Name() string {
	switch {
	case p.Host != "":
		return p.Host
	case p.Zone != "":
		return "zone/" + p.Zone
	}
	return p.Broker
}

const (
	// A place is to blame when so much of the trouble whose place is known began there (design 2.7),
	placeShare = 0.7
	// times so much of what the spread of the replicas lets expect (wide enough for three on four hosts),
	placeLift = 1.6
	// at two services or more, each with so much of the place's trouble and so many units of work,
	ownerShare, ownerUnits = 0.05, 10
	// and each with so much of its own trouble there.
	ownerThere = 0.6
	// Two topics share a broker's trouble when each has so much of it.
	topicShare = 0.15
)

// commonPlace is a host, or a zone, that explains trouble of several services at once.
type commonPlace struct {
	place  Place
	owners []graph.NodeID // services whose replicas there are hurt, in order of name
	narrow func(Place) Place
}

// of returns the place when a row counts for it.
func (c *commonPlace) of(r *ranking, row Row, waited bool) Place {
	if c.owners == nil || waited {
		return Place{}
	}
	owner, where := r.Replica(row.Instance)
	if c.narrow(where) == c.place && slices.Contains(c.owners, owner) {
		return c.place
	}
	return Place{}
}

// spot is where a row began: at a replica of owner, or in a call from it that nobody answered.
type spot struct {
	owner graph.NodeID
	place Place
}

// commonPlace looks for a host, or else a zone. The zero one says that there is none.
func (r *ranking) commonPlace() commonPlace {
	for _, narrow := range []func(Place) Place{
		func(p Place) Place { return Place{Host: p.Host} },
		func(p Place) Place { return Place{Zone: p.Zone} },
	} {
		if c := r.commonPlaceBy(narrow); c.owners != nil {
			return c
		}
	}
	return commonPlace{}
}

func (r *ranking) commonPlaceBy(narrow func(Place) Place) (none commonPlace) {
	spots, units, all := r.spots(narrow)
	byPlace, byOwner := map[Place]int64{}, map[graph.NodeID]int64{}
	located := int64(0)
	for s, x := range spots {
		byPlace[s.place] += x
		byOwner[s.owner] += x
		located += x
	}
	best := most(byPlace, func(a, b Place) int { return byName(Place.Name, a, b) })
	there := byPlace[best]
	if there == 0 || float64(there) < placeShare*float64(located) || 2*located < all {
		return none
	}
	var owners []graph.NodeID
	for n, x := range byOwner {
		if here := float64(spots[spot{n, best}]); here >= ownerShare*float64(there) && here >= ownerThere*float64(x) && units[spot{n, best}] >= ownerUnits {
			owners = append(owners, n)
		}
	}
	slices.SortFunc(owners, func(a, b graph.NodeID) int { return byName(r.NodeName, a, b) })
	expected, own := 0.0, 0.0
	for _, n := range owners {
		expected += r.spread(n, best, narrow) * float64(byOwner[n])
		own += float64(byOwner[n])
	}
	if len(owners) < 2 || float64(there)*own < placeLift*expected*float64(located) {
		return none
	}
	return commonPlace{best, owners, narrow}
}

// spots returns the trouble beyond what is usual by where it began, as far as that is known, with its units of
// work, and all of it.
func (r *ranking) spots(narrow func(Place) Place) (now, units map[spot]int64, all int64) {
	now, units = map[spot]int64{}, map[spot]int64{}
	usual := map[spot]int64{}
	sum := func(rows map[Row]Count, into map[spot]int64, count bool) (weight int64) {
		for row, c := range rows {
			weight += c.Weight
			owner, where := r.Replica(row.Instance)
			if _, waited := r.blamed(row); owner == 0 || waited || narrow(where) == (Place{}) {
				continue
			}
			s := spot{owner, narrow(where)}
			into[s] += c.Weight
			if count {
				units[s] += c.Units
			}
		}
		return weight
	}
	weight, before := sum(r.now.Rows, now, true), sum(r.before.Rows, usual, false)
	for s, x := range now {
		now[s] = r.excess(x, usual[s])
	}
	return now, units, r.excess(weight, before)
}

// spread is the share of a node's replicas that run at a place.
func (r *ranking) spread(n graph.NodeID, p Place, narrow func(Place) Place) float64 {
	all := r.Replicas(n)
	here := 0
	for _, x := range all {
		if narrow(x) == p {
			here++
		}
	}
	if len(all) == 0 {
		return 1
	}
	return float64(here) / float64(len(all))
}

// sharedBroker finds the topics whose trouble is their broker's: two at the least have it at once.
func (r *ranking) sharedBroker() {
	r.brokers = map[graph.NodeID]Place{}
	excess, sums := map[graph.NodeID]int64{}, map[string]int64{}
	for row, c := range r.now.Rows {
		if n, _ := r.blamed(row); r.Broker(n) != "" && row.Reason != Lag { // lag may have other reasons
			excess[n] += c.Weight
			sums[r.Broker(n)] += c.Weight
		}
	}
	much := map[string][]graph.NodeID{}
	for n, x := range excess {
		if b := r.Broker(n); float64(x) >= topicShare*float64(sums[b]) {
			much[b] = append(much[b], n)
		}
	}
	for b, topics := range much {
		for _, n := range topics {
			if len(topics) > 1 {
				r.brokers[n] = Place{Broker: b}
			}
		}
	}
}

// topics returns the nodes that a broker's trouble was found at, in order of name.
func (r *ranking) topics(p Place) (out []graph.NodeID) {
	for n, b := range r.brokers {
		if b == p {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b graph.NodeID) int { return byName(r.NodeName, a, b) })
	return out
}
