import Pacing
import Testing

@testable import HTTPCodec

/// The life of a server's connection, moved from one deadline of its own to the next.
@Suite struct ServerConnectionMachineTests {
    private typealias Machine = ServerConnectionMachine

    @Test("it waits for a head, and closes without a word, or refuses what has begun")
    func head() {
        for hasBegun in [false, true] {
            let life = Life()
            #expect(
                life.orders == Machine.Orders(reads: true, timing: .replace(.none, with: .head)))
            life.settle(.head)
            #expect(life.orders == Machine.Orders(), "more of a head is no new time for it")
            #expect(life.pass(hasBegun: hasBegun) == .seconds(10))
            #expect(life.orders.step == (hasBegun ? .refuse : .closeAfterWriting))
        }
    }

    @Test("a request costs an idle connection no change at all, and an idle one closes in rounds")
    func idle() {
        let life = Life()
        life.request()
        life.settle(.idle)
        #expect(life.orders.timing == .replace(.head, with: .idle))
        life.request()
        life.settle(.idle)
        #expect(life.orders == Machine.Orders(step: .release))
        for _ in 0..<4 { life.pass() }
        life.request()
        life.settle(.idle)
        var waited = Duration.zero
        for _ in 0..<100 where life.machine.isOpen { waited += life.pass() }
        #expect(waited == .milliseconds(67_500), "sixty seconds, and an eighth")
        #expect(life.orders.step == .closeAfterWriting)
    }

    @Test("each piece of content has its time, all of it has one too, and each request its own")
    func body() {
        let life = Life()
        life.request()
        life.settle(.body)
        #expect(life.orders.timing == .replace(.head, with: .body))
        for second in 1...299 {
            life.now = life.start + .seconds(second)
            life.settle(.body)
            #expect(life.orders == Machine.Orders(timing: .restart(.body)))
        }
        life.now = life.start + .nanoseconds(299_999_999_999)
        life.settle(.body)
        #expect(life.orders.step == .goOn)
        life.now = life.start + .seconds(300)
        life.settle(.body)
        #expect(life.orders.step == .refuse)

        // The next request's content may have begun in the read that ended the one before.
        let next = Life()
        next.request()
        next.settle(.body)
        next.now = next.start + .seconds(299)
        next.request()
        next.settle(.body)
        next.now = next.start + .seconds(598)
        next.settle(.body)
        #expect(next.orders.step == .goOn)
        #expect(next.pass() == .seconds(30))
        #expect(next.orders.step == .refuse)
    }

    @Test("content that is taken in slices has no end, until it is only thrown away")
    func streamed() {
        let life = Life()
        life.request()
        life.settle(.body) { $0.isStreamed = true }
        life.now = life.start + .seconds(86_400)
        life.settle(.body) { $0.isStreamed = true }
        #expect(life.orders.step == .goOn)
        life.settle(.body)
        life.now = life.now + .seconds(300)
        life.settle(.body)
        #expect(life.orders.step == .refuse)
    }

    /// A peer that takes `bytesPerSecond`, and at last `stopsAfter` nothing. Returns when it was
    /// given up.
    private func giveUp(
        bytesPerSecond: Double, stopsAfter: Duration, until end: Duration, isFinishing: Bool
    ) -> Duration? {
        let life = Life()
        life.taken = {
            Int64(min($0, stopsAfter).inSeconds.rounded(.down) * bytesPerSecond)
        }
        if isFinishing {
            life.finish(.close)
            life.queued()
        } else {
            life.settle(.none) { $0.isBackpressured = true }
        }
        while life.now - life.start <= end {
            life.pass()
            if life.orders.step == .abort { return life.now - life.start }
        }
        return nil
    }

    @Test(
        "a reader of a byte in half a minute is waited for a day; one that stops is found in time",
        arguments: [false, true])
    func slowReader(isFinishing: Bool) {
        let day = Duration.seconds(86_400)
        func giveUp(_ rate: Double, _ stop: Duration) -> Duration? {
            self.giveUp(
                bytesPerSecond: rate, stopsAfter: stop, until: day, isFinishing: isFinishing)
        }
        #expect(giveUp(1.0 / 30, day + day) == nil)
        #expect(giveUp(1e9, day + day) == nil)
        #expect(giveUp(0, day) == .seconds(60))
        #expect(
            giveUp(5, .seconds(90)) == .seconds(180),
            "between one and two timeouts after the last byte")
    }

    @Test("a queue that was empty in between is not compared with itself of before")
    func advanced() {
        let life = Life()
        life.taken = { _ in 10 }
        life.settle(.none) { $0.isBackpressured = true }
        life.taken = { _ in 3 }
        life.note { $0.advanced() }
        life.pass()
        #expect(life.orders == Machine.Orders(timing: .replace(.none, with: .write)))
        life.pass()
        #expect(life.orders.step == .abort && life.machine.isGone)
    }

    @Test("nothing runs against a peer while the next move is this side's")
    func answering() {
        let life = Life()
        life.request()
        life.settle(.none)
        #expect(life.orders == Machine.Orders(timing: .replace(.head, with: .none)))
        life.settle(.none) { $0.keepsBytes = true }
        #expect(life.orders == Machine.Orders(reads: false))
        life.settle(.body) { $0.isPaused = true }
        #expect(life.orders == Machine.Orders())
        life.settle(.none) { $0.isBackpressured = true }
        #expect(life.orders.timing == .replace(.none, with: .write))
        life.settle(.none) { $0.isBackpressured = true }
        #expect(life.orders == Machine.Orders())
        life.settle(.idle)
        #expect(life.orders.reads == true)
    }

    @Test("who may still be sending is listened to for a while, then what is queued goes out")
    func lingers() {
        let life = Life()
        life.finish(.closeLingering)
        #expect(
            life.orders == Machine.Orders(timing: .replace(.head, with: .linger), step: .linger))
        #expect(!life.machine.isOpen)
        life.settle(.idle)
        #expect(life.orders == Machine.Orders())
        #expect(life.pass() == .seconds(2))
        #expect(life.orders == Machine.Orders(step: .closeAfterWriting))
        life.queued()
        #expect(life.orders.timing == .replace(.none, with: .write))

        let ended = Life()
        ended.finish(.closeLingering)
        ended.peerEnds(nil)
        #expect(
            ended.orders
                == Machine.Orders(timing: .replace(.linger, with: .none), step: .closeAfterWriting))

        let kept = Life()
        kept.finish(.close, keepsBytes: true)
        #expect(kept.orders.step == .linger, "unread bytes would reset the connection")
        let over = Life()
        over.request()
        over.settle(.none)
        over.peerEnds(ConnectionDeadline.none)
        over.finish(.closeLingering)
        #expect(over.orders.step == .closeAfterWriting, "nobody is left to be listened to")
    }

    @Test("a peer that ends has its answers first, however many it has asked for")
    func halfClose() {
        let life = Life()
        life.request()
        life.settle(.none) { $0.keepsBytes = true }
        life.peerEnds(ConnectionDeadline.none, keepsBytes: true)
        #expect(life.orders == Machine.Orders(step: .halfClosed(isLast: false)))
        life.settle(.none)
        #expect(life.orders == Machine.Orders(), "reading is not begun again")
        life.peerEnds(ConnectionDeadline.none)
        #expect(life.orders.step == .halfClosed(isLast: true))
        for awaits in [ConnectionDeadline.idle, .head, .body] {
            life.settle(awaits)
            #expect(life.orders == Machine.Orders(step: .endInput))
        }
        let idle = Life()
        idle.peerEnds(nil)
        #expect(idle.orders.step == .closeAfterWriting)
        let blocked = Life()
        blocked.settle(.idle) { $0.isBackpressured = true }
        blocked.peerEnds(.idle, isBackpressured: true)
        #expect(blocked.orders == Machine.Orders())
        blocked.settle(.idle)
        #expect(blocked.orders.step == .endInput)
    }

    @Test("a server that goes closes what is idle, and after its answer what is not")
    func drains() {
        let idle = Life()
        idle.drain(isIdle: true, unread: 0)
        #expect(idle.orders.step == .closeAfterWriting)
        idle.drain(isIdle: true, unread: 0)
        #expect(idle.orders == Machine.Orders())
        let busy = Life()
        busy.request()
        busy.drain(isIdle: false, unread: 0)
        #expect(busy.orders == Machine.Orders())
        busy.settle(.idle) { $0.isLeaving = true }
        #expect(busy.orders.step == .closeAfterWriting)
        let pipelined = Life()
        pipelined.drain(isIdle: true, unread: 1)
        #expect(pipelined.orders == Machine.Orders(), "it could not know")
    }

    @Test("an old connection's next answer is its last, as is that to its last request")
    func lastAnswers() {
        let life = Life(maximumAge: .seconds(5))
        let start = life.start
        #expect(!life.machine.isOld(now: start + .nanoseconds(4_999_999_999)))
        #expect(life.machine.isOld(now: start + .seconds(5)))
        #expect(!Life().machine.isOld(now: Instant(nanoseconds: .max)))
        #expect(!life.machine.hasServed)
        let isLast = (1...3).map { _ in life.note { $0.requestBegan(limit: 3) } }
        #expect(isLast == [false, false, true] && life.machine.hasServed)
    }

    @Test("whatever comes after the end changes nothing, and the end withdraws the deadline")
    func over() {
        let life = Life()
        life.fails()
        #expect(
            life.orders == Machine.Orders(timing: .replace(.head, with: .none), step: .close))
        let inputs: [(Life) -> Void] = [
            { $0.settle(.idle) }, { $0.settle(.body) { $0.isBackpressured = true } },
            { $0.peerEnds(ConnectionDeadline.none) }, { $0.finish(.close) }, { $0.finish(.abort) },
            { $0.drain(isIdle: true, unread: 0) }, { $0.pass() },
            { $0.closes() },
        ]
        for input in inputs {
            input(life)
            #expect(life.orders == Machine.Orders())
            #expect(life.machine.isGone)
        }
    }

    @Test("three words: there are thousands of them")
    func size() {
        #expect(MemoryLayout<ServerConnectionMachine>.size <= 24)
    }
}

/// A machine, its clock, and the deadline that runs; behind a reference, so that expectations can
/// call what changes it.
private final class Life {
    typealias Machine = ServerConnectionMachine

    var machine: Machine
    var orders = Machine.Orders()
    let start = Instant(nanoseconds: 1_000_000_000)
    var now: Instant
    /// What the peer has taken at a moment.
    var taken: (Duration) -> Int64 = { _ in 0 }
    private var deadline: (kind: Machine.Deadline, since: Instant)?

    init(maximumAge: Duration? = nil) {
        now = start
        machine = Machine(maximumAge: maximumAge, now: start)
        obey(machine.start())
    }

    private func obey(_ orders: Machine.Orders) {
        self.orders = orders
        switch orders.timing {
        case .keep: break
        case .restart(let kind):
            #expect(deadline?.kind == kind)
            deadline?.since = now
        case .replace(let old, let new):
            #expect(deadline?.kind ?? .none == old)
            deadline = new == .none ? nil : (new, now)
        }
        #expect(deadline?.kind ?? .none == machine.deadline)
    }

    func fails() { obey(machine.peerFailed()) }
    func closes() { obey(machine.closed()) }
    func note<R>(_ body: (inout Machine) -> R) -> R { body(&machine) }

    func request() { _ = machine.requestBegan(limit: .max) }

    func settle(_ awaits: ConnectionDeadline, _ change: (inout Machine.Standing) -> Void = { _ in })
    {
        var standing = Machine.Standing(awaits: awaits)
        change(&standing)
        obey(
            machine.settle(
                standing, now: now, contentDuration: .seconds(300), taken: taken(now - start)))
    }

    func finish(_ after: AfterResponse, keepsBytes: Bool = false) {
        obey(machine.finish(after, keepsBytes: keepsBytes))
    }

    func queued() { obey(machine.queued(taken: taken(now - start))) }

    func peerEnds(
        _ awaits: ConnectionDeadline?, keepsBytes: Bool = false, isBackpressured: Bool = false
    ) {
        var standing = awaits.map { Machine.Standing(awaits: $0) }
        standing?.keepsBytes = keepsBytes
        standing?.isBackpressured = isBackpressured
        obey(machine.peerEnded(standing))
    }

    func drain(isIdle: Bool, unread: Int) {
        obey(machine.drain(isIdle: isIdle, unreadBytes: unread))
    }

    /// Moves on to the deadline that runs; returns how long that took.
    @discardableResult
    func pass(hasBegun: Bool = true) -> Duration {
        let seconds: [Machine.Deadline: Duration] = [
            .head: .seconds(10), .body: .seconds(30), .idle: .milliseconds(7500),
            .write: .seconds(60), .linger: .seconds(2),
        ]
        let before = now
        if let deadline, let duration = seconds[deadline.kind] { now = deadline.since + duration }
        deadline = nil
        obey(machine.deadlinePassed(hasBegun: hasBegun, taken: taken(now - start)))
        return now - before
    }
}
