import Pacing

@testable import EgressGateway

/// A gateway that begins to masquerade at a known moment, and a target behind it that answers only
/// masqueraded sources; on a virtual clock.
///
/// The decision about a connection is made when its SYN passes the gateway. A dropped SYN is sent
/// again after 1 s and after 3 s, as Linux does; packets may be lost and overtake each other; a
/// gateway that remembers a port treats a new connection from it as the old one.
struct SimulatedGateway {
    enum Manner: CaseIterable { case closed, dropped, refused }

    var manner = Manner.closed
    /// When the gateway begins to masquerade.
    var change: Instant
    /// When the target begins to listen; before, nobody answers there, or a reset does.
    var targetUp = Instant(nanoseconds: 0)
    var refusesBefore = true
    /// How long the target takes to answer or to close a connection that stands.
    var thinking: Duration = .zero
    /// From client to gateway, and from gateway to target; the same back.
    var near: ClosedRange<Duration> = .microseconds(50) ... .microseconds(100)
    var far: ClosedRange<Duration> = .microseconds(50) ... .microseconds(100)
    /// How late the program gets to its timer, or to news.
    var lateness: Duration = .zero
    /// How long the gateway remembers a port whose SYN was dropped behind it.
    var memory: Duration = .zero
    /// Whether SYNs are dropped behind the gateway (it remembers them) or before it (it does not).
    var dropsBehind = true
    var random: SeededRandom

    private enum News {
        case connected(retransmitted: Bool), pong(UInt8, UInt8), ended, refused
    }
    private struct Event {
        var time: Instant
        var flight: Int
        var news: News
    }

    /// The next one last.
    private var events: [Event] = []
    /// When the latest news of each flight is due: news of one connection keeps its order.
    private var lastNews: [Int: Instant] = [:]
    private var cancelled: Set<Int> = []
    private var remembered: [UInt16: Instant] = [:]
    private(set) var now: Instant
    private(set) var launches: [Instant] = []
    private(set) var answeredAt: Instant?
    private(set) var failedAt: Instant?
    private(set) var settled = 0

    init(start: Instant, change: Instant, seed: UInt64) {
        now = start
        self.change = change
        random = SeededRandom(seed: seed)
    }

    mutating func run(_ machine: inout MasqueradeMachine, origin: Instant) {
        var actions: [MasqueradeMachine.Action] = []
        machine.start(origin: origin, now: now, &actions)
        carryOut(&actions)
        while settled == 0 {
            let timer = machine.nextDeadline.map { $0 + late() }
            while let event = events.last, cancelled.contains(event.flight) { events.removeLast() }
            guard let next = [timer, events.last?.time].compactMap({ $0 }).min() else { return }
            now = max(now, next)
            if let event = events.last, event.time == next {
                events.removeLast()
                deliver(event, to: &machine, &actions)
            } else {
                machine.tick(now: now, &actions)
            }
            carryOut(&actions)
        }
    }

    private mutating func deliver(
        _ event: Event, to machine: inout MasqueradeMachine,
        _ actions: inout [MasqueradeMachine.Action]
    ) {
        switch event.news {
        case .connected(let again):
            machine.connected(event.flight, retransmitted: again, now: now)
        case .pong(let from, let to):
            Array(MasqueradeMachine.pong[Int(from)..<Int(to)]).withUnsafeBytes {
                machine.received(event.flight, $0, now: now, &actions)
            }
        case .ended: machine.ended(event.flight, isBroken: false, now: now, &actions)
        case .refused: machine.failed(event.flight, .refused, now: now, &actions)
        }
    }

    private mutating func carryOut(_ actions: inout [MasqueradeMachine.Action]) {
        for action in actions {
            switch action {
            case .launch(let flight, let port):
                launches.append(now)
                send(flight, port: port ?? 0, at: now, again: false, wait: .seconds(1))
            case .cancel(let flight): cancelled.insert(flight)
            case .answered: answeredAt = now
            case .failed: failedAt = now
            case .settled: settled += 1
            case .missed, .warned, .resolve: break
            }
        }
        actions.removeAll()
    }

    /// One SYN, and what follows from it.
    private mutating func send(
        _ flight: Int, port: UInt16, at moment: Instant, again: Bool, wait: Duration
    ) {
        let decision = moment + random.duration(in: near)
        let isStale = remembered[port].map { decision < $0 + memory } ?? false
        let passes = decision >= change && !isStale
        let answer = decision + random.duration(in: far) + random.duration(in: far)
        let back = answer + random.duration(in: near) + late()
        let isThere = decision >= targetUp
        if passes, isThere {
            add(back, flight, .connected(retransmitted: again))
            let split = UInt8.random(in: 1...5, using: &random)
            let thought = back + thinking + random.duration(in: far)
            add(thought, flight, .pong(0, split))
            if split < 5 { add(thought + random.duration(in: far), flight, .pong(split, 5)) }
            return
        }
        let absent: Manner = refusesBefore ? .refused : .dropped
        switch isThere || manner == .dropped && !passes ? manner : absent {
        case .refused: add(back, flight, .refused)
        case .closed:
            add(back, flight, .connected(retransmitted: again))
            add(back + thinking + random.duration(in: far), flight, .ended)
        case .dropped:
            if dropsBehind, memory > .zero, !isStale { remembered[port] = decision }
            guard wait < .seconds(4) else { return }
            send(flight, port: port, at: moment + wait, again: true, wait: wait * 2)
        }
    }

    private mutating func add(_ time: Instant, _ flight: Int, _ news: News) {
        let time = max(time, lastNews[flight] ?? time)
        lastNews[flight] = time
        var (low, high) = (0, events.count)
        while low < high {
            let middle = (low + high) / 2
            if events[middle].time > time { low = middle + 1 } else { high = middle }
        }
        events.insert(Event(time: time, flight: flight, news: news), at: low)
    }

    private mutating func late() -> Duration {
        lateness == .zero ? .zero : random.duration(in: .zero...lateness)
    }
}
