import Pacing
import Testing

@testable import EgressGateway

/// Whole tests on a virtual clock, against a gateway whose true moment is known.
@Suite struct MasqueradeSimulationTests {
    private let t0 = Instant(nanoseconds: 3_600_000_000_000)

    /// The bounds must hold the truth; the error stays within an interval and what a probe takes.
    private func check(
        _ machine: MasqueradeMachine, _ gateway: SimulatedGateway, slack: Duration, _ note: String
    ) {
        guard let hit = machine.hit else {
            Issue.record("\(note): no hit")
            return
        }
        let truth = gateway.change
        // Its target was always there: what is presumed is as good as what is proven.
        let lower = machine.notBefore(.presumed) ?? machine.notBefore ?? machine.origin
        let isProving = gateway.manner == .closed
        #expect(machine.notBefore(isProving ? .presumed : .proven) == nil, "\(note)")
        #expect(lower <= max(truth, machine.origin), "\(note): \(truth - lower) too late")
        #expect(truth <= hit.connected || truth <= machine.origin, "\(note)")
        #expect(hit.connected - max(truth, t0) <= slack, "\(note): \(hit.connected - truth)")
        #expect(machine.missCount == machine.probes - 1, "\(note)")
        #expect(machine.inFlight == 0 && gateway.settled == 1, "\(note)")
        #expect(gateway.launches.count <= machine.started, "\(note)")
    }

    @Test(
        "the bounds hold the truth and the error is within an interval, whatever the network does",
        arguments: SimulatedGateway.Manner.allCases)
    func soundness(manner: SimulatedGateway.Manner) {
        var widest = Duration.zero
        for seed in 1...150 as ClosedRange<UInt64> {
            var random = SeededRandom(seed: seed &* 977)
            var configuration = MasqueradeMachine.Configuration()
            configuration.interval = .milliseconds(
                [1, 5, 10, 50, 200].randomElement(using: &random)!)
            configuration.ports = seed % 2 == 0 ? 32768...60999 : nil
            configuration.seed = seed
            let change = t0 + random.duration(in: .zero ... .milliseconds(1800))
            var gateway = SimulatedGateway(start: t0, change: change, seed: seed)
            gateway.manner = manner
            let longest = random.duration(in: .microseconds(10) ... .milliseconds(20))
            gateway.near = .microseconds(5)...longest
            gateway.far = .microseconds(5)...longest
            gateway.lateness = random.duration(in: .zero ... .milliseconds(3))
            gateway.dropsBehind = seed % 3 == 0
            if configuration.ports != nil { gateway.memory = .seconds(120) }
            var machine = MasqueradeMachine(configuration: configuration)
            gateway.run(&machine, origin: t0 - .milliseconds(5))
            // Two ways to the gateway and back, and the lateness of timer and news.
            let slack =
                configuration.interval + longest * 4 + gateway.lateness * 3 + .milliseconds(1)
            check(machine, gateway, slack: slack, "\(manner) seed \(seed)")
            let width = machine.uncertainty(manner == .closed ? .proven : .presumed)
            widest = max(widest, width ?? .zero)
        }
        #expect(widest < .milliseconds(1200), "bounds that wide say nothing: \(widest)")
    }

    @Test("on a quick path the bounds are as wide as an interval, dropped or closed")
    func narrow() {
        for manner in SimulatedGateway.Manner.allCases {
            for milliseconds in [50, 10, 1] {
                var configuration = MasqueradeMachine.Configuration()
                configuration.interval = .milliseconds(milliseconds)
                configuration.ports = 32768...60999
                var gateway = SimulatedGateway(
                    start: t0, change: t0 + .microseconds(1_723_456), seed: 4)
                gateway.manner = manner
                var machine = MasqueradeMachine(configuration: configuration)
                gateway.run(&machine, origin: t0)
                check(
                    machine, gateway, slack: configuration.interval + .milliseconds(1),
                    "\(manner) \(milliseconds) ms")
                let width = machine.uncertainty(manner == .closed ? .proven : .presumed) ?? .zero
                #expect(width <= configuration.interval + .milliseconds(1))
                #expect(width >= configuration.interval)
            }
        }
    }

    @Test("an interval shorter than the round trip: probes overlap, the error stays one interval")
    func overlap() {
        for manner in SimulatedGateway.Manner.allCases {
            var configuration = MasqueradeMachine.Configuration()
            configuration.interval = .milliseconds(5)
            let change = t0 + .microseconds(777_777)
            var gateway = SimulatedGateway(start: t0, change: change, seed: 9)
            gateway.manner = manner
            // The gateway is at the client's own node; the target is 20 ms away.
            gateway.far = .milliseconds(20) ... .milliseconds(20)
            gateway.near = .microseconds(1) ... .microseconds(2)
            var machine = MasqueradeMachine(configuration: configuration)
            gateway.run(&machine, origin: t0)
            check(machine, gateway, slack: .milliseconds(46), "\(manner)")
            let start = machine.hit?.start ?? t0
            #expect(start + .microseconds(2) >= change && start - change < .milliseconds(5))
            #expect(machine.surplus >= 7, "the probes that were under way")
        }
    }

    @Test("a gateway that remembers ports does not break the bounds when the ports come round")
    func staleports() {
        for seed in 1...40 as ClosedRange<UInt64> {
            var configuration = MasqueradeMachine.Configuration()
            configuration.interval = .milliseconds(1)
            configuration.ports = 40000...40999
            configuration.seed = seed
            var gateway = SimulatedGateway(
                start: t0, change: t0 + .milliseconds(1500), seed: seed)
            gateway.manner = .dropped
            gateway.memory = .milliseconds(900 + Int64(seed) * 20)
            var machine = MasqueradeMachine(configuration: configuration)
            gateway.run(&machine, origin: t0)
            let lower = (machine.notBefore(.presumed) ?? t0)
            #expect(lower <= gateway.change, "seed \(seed): \(lower - gateway.change)")
            #expect(machine.missCount == machine.probes - 1)
        }
    }

    @Test(
        "a target that starts late or thinks long: what is proven holds the truth",
        arguments: SimulatedGateway.Manner.allCases)
    func lateTarget(manner: SimulatedGateway.Manner) {
        for seed in 1...150 as ClosedRange<UInt64> {
            var random = SeededRandom(seed: seed &* 1409)
            var configuration = MasqueradeMachine.Configuration()
            configuration.interval = .milliseconds([5, 50, 200].randomElement(using: &random)!)
            configuration.seed = seed
            let times = Duration.zero ... .milliseconds(1800)
            var gateway = SimulatedGateway(
                start: t0, change: t0 + random.duration(in: times), seed: seed)
            gateway.manner = manner
            gateway.targetUp = t0 + random.duration(in: times)
            gateway.refusesBefore = seed % 2 == 0
            gateway.thinking = seed % 3 == 0 ? random.duration(in: times) / 2 : .zero
            gateway.lateness = random.duration(in: .zero ... .milliseconds(3))
            var machine = MasqueradeMachine(configuration: configuration)
            gateway.run(&machine, origin: t0)
            let note: Comment = "\(manner) seed \(seed)"
            guard let hit = machine.hit else {
                Issue.record("no hit: \(note)")
                continue
            }
            #expect(gateway.change <= hit.connected, note)
            #expect(machine.notBefore ?? t0 <= gateway.change, note)
            // Only a target that closes proves anything.
            if manner != .closed { #expect(machine.notBefore == nil, note) }
        }
    }

    @Test("without masquerading the test fails at its timeout; what had its time is a miss")
    func fails() {
        for manner in SimulatedGateway.Manner.allCases {
            var configuration = MasqueradeMachine.Configuration()
            configuration.testTimeout = .seconds(3)
            var gateway = SimulatedGateway(
                start: t0, change: Instant(nanoseconds: .max), seed: 1)
            gateway.manner = manner
            var machine = MasqueradeMachine(configuration: configuration)
            gateway.run(&machine, origin: t0)
            #expect(machine.phase == .failed && machine.hit == nil)
            #expect(gateway.failedAt == t0 + .seconds(3) && gateway.settled == 1)
            #expect(machine.probes + machine.surplus == 60 && machine.missCount == machine.probes)
            #expect(machine.probes == (manner == .dropped ? 41 : 60))
            let kind: ProbeEvidence.Kind = manner == .closed ? .proven : .presumed
            #expect(machine.notBefore(kind) ?? t0 >= t0 + .milliseconds(1950))
        }
    }
}
