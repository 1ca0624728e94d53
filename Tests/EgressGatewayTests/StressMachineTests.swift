import Pacing
import Testing

@testable import EgressGateway

@Suite struct StressMachineTests {
    private let t0 = Instant(nanoseconds: 1_000_000_000)
    private typealias Action = StressMachine.Action

    private func machine(
        _ change: (inout StressMachine.Configuration) -> Void
    ) -> StressMachine {
        var configuration = StressMachine.Configuration()
        change(&configuration)
        return StressMachine(configuration: configuration)
    }

    private func slots(_ actions: [StressMachine.Action]) -> [Int] {
        actions.compactMap { if case .dial(let slot, _) = $0 { slot } else { nil } }
    }

    @Test("so many dials at once, never more, until the maximum is open")
    func concurrency() {
        var machine = machine {
            $0.concurrency = 4
            $0.maximum = 10
        }
        var actions: [Action] = []
        machine.start(now: t0, &actions)
        var pending = slots(actions)
        #expect(pending == [0, 1, 2, 3])
        var ends: [StressMachine.End] = []
        while let slot = pending.first {
            pending.removeFirst()
            actions = []
            _ = machine.opened(slot, now: t0 + .milliseconds(2), &actions)
            pending += slots(actions)
            for case .finished(let end) in actions { ends.append(end) }
            #expect(machine.dialing == pending.count && machine.dialing <= 4)
        }
        #expect(machine.opened == 10 && machine.open == 10 && ends == [.maximumReached])
        #expect(machine.isFinished && machine.latency.count == 10)
        // The first four took 2 ms each; the others were dialed at the moment of their answer.
        #expect(abs(machine.latency.sum - 0.008) < 1e-9)
    }

    @Test("three failures of the target in a row end it, after the last dial; others do not")
    func threeFailures() {
        var machine = machine { $0.concurrency = 2 }
        var actions: [Action] = []
        machine.start(now: t0, &actions)
        func fail(_ slot: Int) -> [Action] {
            var actions: [Action] = []
            machine.failed(slot, .target, now: t0, &actions)
            return actions
        }
        #expect(fail(0) == [.dial(slot: 0, source: nil)])
        #expect(fail(1) == [.dial(slot: 1, source: nil)])
        actions = []
        _ = machine.opened(0, now: t0, &actions)  // breaks the row
        #expect(actions == [.dial(slot: 0, source: nil)])
        #expect(fail(1).count == 1 && fail(0).count == 1)
        #expect(fail(1) == [] && machine.end == .targetFailed && !machine.isFinished)
        #expect(fail(0) == [.finished(.targetFailed)])
        #expect(machine.targetFailures == 6 && machine.localFailures == 0 && machine.isFinished)
    }

    @Test("connections spread evenly over the sources, none gets more than its share")
    func spreading() {
        var machine = machine {
            $0.sources = 3
            $0.perSource = 100
            $0.concurrency = 16
        }
        var perSource = [0, 0, 0]
        var actions: [Action] = []
        machine.start(now: t0, &actions)
        var end: StressMachine.End?
        while end == nil {
            let batch = actions
            actions = []
            for action in batch {
                switch action {
                case .dial(let slot, let source):
                    let place = machine.opened(slot, now: t0, &actions)
                    #expect(source == place)
                    perSource[place] += 1
                case .finished(let reason): end = reason
                case .warned(let text): Issue.record("\(text)")
                }
            }
            let spread = (perSource.max() ?? 0) - (perSource.min() ?? 0)
            #expect(spread <= 6)  // the dials under way are counted before they are open
        }
        #expect(perSource == [100, 100, 100] && end == .sourcesFull)
        // A place that becomes free later is not taken: the test is over.
        actions = []
        machine.closed(source: 1, now: t0, &actions)
        #expect(actions == [] && machine.closed == 1 && machine.open == 299)
    }

    @Test("a source without ports is passed over; when all are, the ports were the reason")
    func ports() {
        var machine = machine {
            $0.sources = 2
            $0.concurrency = 1
        }
        var actions: [Action] = []
        machine.start(now: t0, &actions)
        #expect(actions == [.dial(slot: 0, source: 0)])
        actions = []
        machine.failed(0, .ports, now: t0, &actions)
        #expect(actions == [.dial(slot: 0, source: 1)])
        actions = []
        _ = machine.opened(0, now: t0, &actions)
        #expect(actions == [.dial(slot: 0, source: 1)])
        // One that closes gives its source a port back.
        actions = []
        machine.closed(source: 1, now: t0, &actions)
        machine.failed(0, .ports, now: t0, &actions)
        #expect(actions == [.finished(.outOfPorts)])
        #expect(machine.targetFailures == 0 && machine.localFailures == 2)
    }

    @Test("the reserve of descriptors is not touched, and running out is not the target's fault")
    func descriptors() {
        var machine = machine {
            $0.descriptors = 5
            $0.concurrency = 3
        }
        var actions: [Action] = []
        machine.start(now: t0, &actions)
        var peak = 0
        while !machine.isFinished {
            let batch = slots(actions)
            actions = []
            for slot in batch { _ = machine.opened(slot, now: t0, &actions) }
            peak = max(peak, machine.open + machine.dialing)
        }
        #expect(peak == 5 && machine.end == .outOfDescriptors && machine.targetFailures == 0)
        for (failure, end) in [
            (StressMachine.Failure.descriptors, StressMachine.End.outOfDescriptors),
            (.local, .localError),
        ] {
            var other = self.machine { $0.concurrency = 1 }
            actions = []
            other.start(now: t0, &actions)
            actions = []
            other.failed(0, failure, now: t0, &actions)
            #expect(actions == [.finished(end)] && other.localFailures == 1)
        }
    }

    @Test("a target that closes is dialed again; every close is counted")
    func closes() {
        var machine = machine {
            $0.descriptors = 2
            $0.concurrency = 2
            $0.maximum = 50
        }
        var actions: [Action] = []
        machine.start(now: t0, &actions)
        var turns = 0
        while !machine.isFinished, turns < 1000 {
            turns += 1
            let batch = slots(actions)
            actions = []
            for slot in batch {
                let source = machine.opened(slot, now: t0, &actions)
                machine.closed(source: source, now: t0, &actions)
            }
        }
        #expect(machine.opened == 50 && machine.closed == 50 && machine.open == 0)
        #expect(machine.end == .maximumReached)
    }

    @Test("late news of a slot or a source is harmless; after stop nothing is dialed")
    func late() {
        var machine = machine { $0.concurrency = 1 }
        var actions: [Action] = []
        machine.failed(0, .target, now: t0, &actions)
        machine.closed(source: 0, now: t0, &actions)
        #expect(machine.opened(7, now: t0, &actions) == 0 && actions == [])
        machine.start(now: t0, &actions)
        machine.stop()
        actions = []
        _ = machine.opened(0, now: t0, &actions)
        #expect(actions == [.finished(.stopped)] && machine.opened == 1)
    }

    @Test("as the original: one dial at a time, and the third failure in all ends it")
    func compat() {
        var machine = machine {
            $0.concurrency = 1
            $0.countsAllFailures = true
        }
        var actions: [Action] = []
        machine.start(now: t0, &actions)
        for round in 1...3 {
            _ = machine.opened(0, now: t0, &actions)
            // This machine's own trouble with one source is none of the three.
            actions = []
            machine.failed(0, .target, now: t0, &actions)
            #expect(machine.targetFailures == round)
            #expect(
                actions == (round < 3 ? [.dial(slot: 0, source: nil)] : [.finished(.targetFailed)]))
        }
        #expect(machine.opened == 3)
    }

    @Test("failures of this machine never end it as the target's")
    func ownFailures() {
        for failure in [StressMachine.Failure.ports, .descriptors, .local] {
            var machine = machine {
                $0.concurrency = 8
                $0.countsAllFailures = true
            }
            var actions: [Action] = []
            machine.start(now: t0, &actions)
            for slot in 0..<8 { machine.failed(slot, failure, now: t0, &actions) }
            #expect(machine.isFinished && machine.end != .targetFailed)
            #expect(machine.targetFailures == 0 && machine.load.entries(at: t0) == 0)
        }
    }

    @Test("open connections and unanswered SYNs are entries; past 65,536 open it warns once")
    func load() {
        var machine = machine {
            $0.concurrency = 4
            $0.descriptors = 70_000
        }
        var actions: [Action] = []
        machine.start(now: t0, &actions)
        var warnings: [(Int, String)] = []
        while !machine.isFinished {
            let batch = actions
            actions = []
            for action in batch {
                if case .warned(let text) = action { warnings.append((machine.opened, text)) }
                guard case .dial(let slot, _) = action else { continue }
                _ = machine.opened(slot, now: t0, &actions)
            }
        }
        #expect(warnings.count == 1 && warnings.allSatisfy { $0.1.contains("--stress-max") })
        #expect(warnings.allSatisfy { (65_537...65_545).contains($0.0) })
        #expect(machine.trackingEntries(at: t0) == 70_000)
    }
}
