// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package cause

import "fmt"

// codebook is the signatures of the design page's table, from what errors say themselves to what is left when
// nothing special is seen.
var codebook = []row{
	// What the error names.
	{DNS, anything, said, func(s *Signs) float64 { return share(s.DNS) },
		of(func(s *Signs) float64 { return s.DNS }, "did not find its name")},
	{TLS, anything, said, func(s *Signs) float64 { return share(s.TLS) },
		of(func(s *Signs) float64 { return s.TLS }, "failed at its certificate")},
	{Auth, anything, said, func(s *Signs) float64 { return share(s.Auth) },
		of(func(s *Signs) float64 { return s.Auth }, "failed at credentials")},
	{Throttled, anything, said, func(s *Signs) float64 { return share(s.Throttled) },
		of(func(s *Signs) float64 { return s.Throttled }, "were refused for being too many")},
	{ClientRejected, emitter, history - 0.01, func(s *Signs) float64 { return share(s.ClientRejected) },
		of(func(s *Signs) float64 { return s.ClientRejected }, "were refused by the callee for what was sent")},

	// What the hurt have in common.
	{Zone, anything, group + 0.02, func(s *Signs) float64 { return flag(s.OneZone) }, text("one zone stands out")},
	{BadHost, emitter, group + 0.01, func(s *Signs) float64 { return flag(s.OneHost) }, text("one host stands out")},
	{Poison, emitter, group + 0.01, poison, text("failures of the consumer stay with one replica or partition")},
	{BadInstance, emitter, group, func(s *Signs) float64 { return flag(s.OneInstance) }, text("one replica stands out")},
	{BadVersion, emitter, history, func(s *Signs) float64 {
		return max(flag(s.OneVersion), 0.99*when(s.NewVersion, share(s.Errors+s.Latency+s.Saturation+s.FanOut+s.ClientRejected+s.Vanished)))
	}, text("the trouble came with a version")},

	{Unreachable, database | external, mechanism, func(s *Signs) float64 {
		return ramp(s.Failing, mute, 1) * share(s.Latency+s.Saturation) * flag(s.OwnSpread < alike && s.OwnSlow > some)
	}, text("none of the calls was answered, all waited as long as they could")},

	// What changed in flows and habits.
	{Unreachable, anything, history, func(s *Signs) float64 { return share(s.Unavailable) },
		of(func(s *Signs) float64 { return s.Unavailable }, "were not answered by it")},
	{ProducerFlood, emitter, history, func(s *Signs) float64 { return when(s.Entry < surged, ramp(s.Publish, surged, many)) },
		func(s *Signs) string { return times(s.Publish, "it publishes") + ", users come as always" }},
	{HotPartition, messaging, history, func(s *Signs) float64 { return ramp(s.Partition-s.PartitionNormal, 0.1, 0.3) },
		func(s *Signs) string {
			return fmt.Sprintf("one partition has %s of the messages, normally %s", percent(s.Partition), percent(s.PartitionNormal))
		}},
	{Overload, service | database, history - 0.02, func(s *Signs) float64 {
		return ramp(s.Entry, surged, many) * share(s.waits()+s.Unavailable+s.Errors+s.Shed)
	}, func(s *Signs) string { return times(s.Entry, "users come") }},
	{Metastable, service, history - 0.03, func(s *Signs) float64 { return when(s.Recovered, ramp(s.Attempts, 1, amplified)) },
		func(s *Signs) string { return times(s.Attempts, "its own time is normal again, calls come") }},
	{BehaviourChange, emitter, history - 0.04, func(s *Signs) float64 {
		return max(share(s.Vanished+s.FanOut), when(s.Errors < 0.3, ramp(s.Fan, surged, many)))
	}, func(s *Signs) string {
		if s.Fan > surged {
			return times(s.Fan, "calls per run")
		}
		return "it does not call whom it used to call"
	}},

	// How time is lost.
	{ConnPool, emitter, mechanism, func(s *Signs) float64 {
		return when(s.ownSlow(), max(ramp(s.Saturation, 0.05, 0.15)*ramp(s.OwnSpread, apart/2, apart), ramp(s.Saturation, 0.3, 0.6)))
	},
		of(func(s *Signs) float64 { return s.Saturation }, "stood in line for a connection")},
	{Overload, emitter, mechanism, func(s *Signs) float64 { return share(s.Shed) },
		of(func(s *Signs) float64 { return s.Shed }, "were turned away by its own guard")},
	{Overload, database, mechanism, func(s *Signs) float64 { return ramp(s.PerRun, surged, many) * share(s.waits()) },
		func(s *Signs) string { return times(s.PerRun, "calls to it per run of its callers") }},
	{DriftLeak, emitter, mechanism, func(s *Signs) float64 { return when(s.ownSlow(), flag(s.Drift)) * share(s.waits()) },
		text("it has been growing since long before anybody was hurt")},
	{ConsumerSlow, emitter, mechanism - 0.05, func(s *Signs) float64 { return share(s.FromTopic) * share(s.waits()) },
		func(s *Signs) string { return "records wait for it; " + own(s) }},
	{Pause, emitter, mechanism - 0.1, pause, func(s *Signs) string {
		return fmt.Sprintf("%s of the calls are slow, others as fast as ever; bunched %.1f times as much as chance", percent(s.OwnSlow), s.Burst)
	}},
	{CPUThrottle, emitter, mechanism - 0.1, throttled, own},
	{Network, emitter, mechanism, network, gap},
	{Network, database | messaging, mechanism, func(s *Signs) float64 {
		return when(s.Failing > 0 && s.OwnSlow > 0 && s.OwnSlow < some, share(s.Latency)*ramp(s.OwnSpread, 1.5, 2.5))
	}, func(s *Signs) string {
		return percent(s.OwnSlow) + " of the calls are lost, the others as fast as ever"
	}},
	{AcceptQueue, emitter, mechanism - 0.1, func(s *Signs) float64 {
		return when(s.gapped() && s.EdgesInOff == s.EdgesIn, share(s.waits()+s.Errors)*ramp(s.InFlight, 0, busy))
	}, gap},

	// What is left.
	{Broker, messaging, general, func(s *Signs) float64 { return max(share(s.waits()+s.Errors), ramp(s.SlowAcks, 0.5, 1)) },
		text("acknowledgements and deliveries take longer")},
	{DBSlow, database, general, func(s *Signs) float64 { return share(s.waits()) }, own},
	{ExtSlow, external, general, func(s *Signs) float64 { return share(s.waits()) }, own},
	{CodeError, service | callee, general, func(s *Signs) float64 { return share(s.Errors) },
		of(func(s *Signs) float64 { return s.Errors }, "failed there")},
	{CodeSlow, emitter, general, func(s *Signs) float64 { return share(s.waits()) }, own},
}

// poison: what is read again and again fails where it lies, and others of the consumer's partitions are well.
func poison(s *Signs) float64 {
	there := max(ramp(s.Stuck, 0.5, 0.8), 0.99*when(s.OneInstance, 1))
	// One partition of many fails a small part of all records.
	return share(s.FromTopic) * share(s.Errors+s.Lag) * max(ramp(s.Failing, 0, 0.1), ramp(s.Stuck, 0.5, 0.8)) * there
}

// pause: a process that stands still now and then hurts some calls of all operations, by far, and in bunches.
func pause(s *Signs) float64 {
	return when(s.ownSlow() && s.OpsOff == s.Ops && s.OwnSlow < some && s.OwnSpread > apart,
		share(s.Latency)*ramp(s.Burst, even, bursts))
}

// throttled: all operations take longer, and connections wait for a process that works on few requests at a time.
func throttled(s *Signs) float64 {
	return when(s.ownSlow() && s.OpsOff == s.Ops && s.GapZ >= strays, share(s.Latency)*(1-ramp(s.InFlight, busy, 4*busy)))
}

// network: a way takes longer for all alike, while queues' waits are of all lengths; or nobody can stand in line, as
// replicas have little to do; or trouble is on one way of several, or on all of them, to the service and from it.
func network(s *Signs) float64 {
	if !s.gapped() {
		return 0
	}
	alike := when(s.GapSlow >= some, 1-ramp(s.GapSpread, steady, 2*steady))
	unused := 1 - ramp(s.InFlight, idle, busy)
	all := when(s.EdgesOut > 0 && s.EdgesOutOff == s.EdgesOut, 1)
	one := when(s.EdgesInOff < s.EdgesIn, 1)
	return share(s.waits()+s.Errors) * max(alike, unused, all, one)
}
