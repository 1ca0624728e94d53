import Pacing

@testable import NetworkPolicy

/// A firewall in front of targets, on a virtual clock: what a client machine meets in a cluster.
///
/// Packets take a random time each way; a dropped SYN is sent again after 1 s and after 3 s, as
/// Linux does; packets may be lost. The true moment of every target is known.
struct SimulatedNetwork {
    enum Verdict { case drop, reject }

    var delay: ClosedRange<Duration> = .milliseconds(1) ... .milliseconds(1)
    var blocked = Verdict.drop
    var loss = 0.0
    /// When each target changes from blocked to open, or, for `deny`, from open to blocked.
    var changes: [Instant]
    var expectation = PolicyExpectation.allow
    /// How late a timer may be on top of the millisecond that it counts in.
    var lateness: Duration = .zero
    var random = SeededRandom(seed: 1)
    /// Targets whose handshake succeeds but that never send a head.
    var mute: Set<Int> = []
    /// For how long after they open targets take connections, but answer none yet.
    var warmUp = Duration.zero
    /// While it lasts the client's process is stopped; the network is not.
    var pauses: [ClosedRange<Instant>] = []

    private enum News { case connected(retransmitted: Bool), head, rejected }
    private struct Event {
        var time: Instant
        var flight: Int
        var target: Int
        var generation: UInt32
        var news: News
    }

    private var heap = Heap<Event> { $0.time < $1.time }
    private var generations: [UInt32] = []
    private(set) var now = Instant(nanoseconds: 3_600_000_000_000)
    private(set) var largestGap: [Duration] = []
    private var lastLaunch: [Instant?] = []
    private(set) var actionCounts: [String: Int] = [:]
    private(set) var gateOpenedAt: Instant?
    private(set) var peakInFlight = 0

    init(changes: [Instant]) {
        self.changes = changes
        largestGap = Array(repeating: .zero, count: changes.count)
        lastLaunch = Array(repeating: nil, count: changes.count)
    }

    /// Runs the machine to its own deadlines and the network's news until it has finished, nothing
    /// is pending any more, or `horizon` has passed.
    mutating func run<Machine: ProbePacing>(_ machine: inout Machine, until horizon: Instant) {
        var actions: [ProbeAction] = []
        machine.start(now: now, &actions)
        if !carryOut(&actions, of: &machine) { resume(&machine, until: horizon) }
    }

    /// Goes on from where ``run(_:until:)`` ended.
    mutating func resume<Machine: ProbePacing>(_ machine: inout Machine, until horizon: Instant) {
        var actions: [ProbeAction] = []
        var finished = false
        while !finished {
            let deadline = machine.nextDeadline.map { timerTime($0) }
            let news = heap.first?.time
            guard let next = [deadline, news].compactMap({ $0 }).min(), next <= horizon else {
                break
            }
            now = max(now, awake(next))
            // News before time: what waits in the kernel is told before a timer fires.
            if news.map({ $0 <= now }) == true, let event = heap.popFirst() {
                guard generations[event.flight] == event.generation else { continue }
                switch event.news {
                case .connected(let retransmitted):
                    machine.connected(event.flight, retransmitted: retransmitted, now: now)
                    request(event.flight, event.target)
                    machine.sent(event.flight, now: now)
                case .head:
                    machine.answered(event.flight, status: 200, now: now, &actions)
                case .rejected:
                    machine.failed(event.flight, .refused, now: now, &actions)
                }
            } else {
                machine.tick(now: now, &actions)
            }
            finished = carryOut(&actions, of: &machine)
            peakInFlight = max(peakInFlight, machine.inFlight)
        }
        now = max(now, min(horizon, machine.nextDeadline ?? now))
    }

    /// The first moment from `time` on at which the process runs.
    private func awake(_ time: Instant) -> Instant {
        pauses.first { $0.contains(time) }?.upperBound ?? time
    }

    /// Timers count in whole milliseconds, and a busy loop is late.
    private mutating func timerTime(_ deadline: Instant) -> Instant {
        let milliseconds = (deadline.nanoseconds + 999_999) / 1_000_000
        return Instant(nanoseconds: milliseconds * 1_000_000)
            + random.duration(in: .zero...lateness)
    }

    private mutating func carryOut<Machine: ProbePacing>(
        _ actions: inout [ProbeAction], of machine: inout Machine
    ) -> Bool {
        var finished = false
        for action in actions {
            switch action {
            case .launch(let flight, let target, _):
                launch(flight, target)
                machine.sent(flight, now: now)
            case .cancel(let flight):
                generations[flight] &+= 1
            case .openedGate:
                gateOpenedAt = now
            case .answered: actionCounts["answered", default: 0] += 1
            case .denied: actionCounts["denied", default: 0] += 1
            case .movedToFailedQueue: actionCounts["failedQueue", default: 0] += 1
            case .failed, .bounded, .loadIsHigh: break
            case .finished: finished = true
            }
        }
        actions.removeAll(keepingCapacity: true)
        return finished
    }

    private mutating func launch(_ flight: Int, _ target: Int) {
        while generations.count <= flight { generations.append(0) }
        generations[flight] &+= 1
        if let last = lastLaunch[target] {
            largestGap[target] = max(largestGap[target], now - last)
        }
        lastLaunch[target] = now
        for (index, pause) in [Duration.zero, .seconds(1), .seconds(3)].enumerated() {
            let arrival = now + pause + random.duration(in: delay)
            // Dropped for certain: nothing to simulate.
            let passes = isOpen(target, at: arrival)
            if !passes, blocked == .drop { continue }
            if loss > 0, Double.random(in: 0..<1, using: &random) < loss { continue }
            let answer = arrival + random.duration(in: delay)
            guard passes else {
                schedule(answer, flight, target, .rejected)
                return
            }
            schedule(answer, flight, target, .connected(retransmitted: index > 0))
            return
        }
    }

    /// The connection is known to stand: its request is sent.
    private mutating func request(_ flight: Int, _ target: Int) {
        guard !mute.contains(target) else { return }
        var arrival = now + random.duration(in: delay)
        if warmUp > .zero { arrival = max(arrival, changes[target] + warmUp) }
        schedule(arrival + random.duration(in: delay), flight, target, .head)
    }

    private func isOpen(_ target: Int, at time: Instant) -> Bool {
        (time >= changes[target]) == (expectation == .allow)
    }

    private mutating func schedule(_ time: Instant, _ flight: Int, _ target: Int, _ news: News) {
        heap.insert(
            Event(
                time: time, flight: flight, target: target, generation: generations[flight],
                news: news))
    }
}

/// A binary heap; the smallest element comes first.
struct Heap<Element> {
    private var elements: [Element] = []
    private let isBefore: (Element, Element) -> Bool

    init(_ isBefore: @escaping (Element, Element) -> Bool) { self.isBefore = isBefore }

    var first: Element? { elements.first }

    mutating func insert(_ element: Element) {
        elements.append(element)
        var child = elements.count - 1
        while child > 0, isBefore(elements[child], elements[(child - 1) / 2]) {
            elements.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func popFirst() -> Element? {
        guard let first = elements.first, let last = elements.popLast() else { return nil }
        if elements.isEmpty { return first }
        elements[0] = last
        var parent = 0
        while true {
            var smallest = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < elements.count && isBefore(elements[child], elements[smallest]) {
                smallest = child
            }
            if smallest == parent { return first }
            elements.swapAt(parent, smallest)
            parent = smallest
        }
    }
}
