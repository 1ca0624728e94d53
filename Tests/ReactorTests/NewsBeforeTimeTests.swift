import Pacing
import Testing

@testable import Reactor

/// What the kernel holds when a moment comes is handed out before the moment is called: a loop that
/// was kept from its work must not take an answer for silence.
@Suite struct NewsBeforeTimeTests {
    /// What a test's timers and connections did, in their order.
    private final class Journal {
        var entries: [String] = []
    }

    /// Keeps the loop from its work until `moment` has passed.
    private func block(_ loop: EventLoop, until moment: Instant) {
        while loop.now <= moment {}
    }

    /// Runs `work` where a callback is called with the news it waited for.
    private func inCallback(_ pair: Pair, _ work: @escaping () -> Void) {
        pair.server.onRead = { server, _ in
            server.onRead = nil
            work()
        }
        pair.server.resumeReading()
        pair.client.write([0])
    }

    /// Runs `body` in a callback of a loop where a client reads; `send` makes bytes wait for it in
    /// the kernel, and `end` closes everything.
    private func withReader(
        _ journal: Journal,
        _ body:
            @escaping (EventLoop, _ send: @escaping () -> Void, _ end: @escaping () -> Void) -> Void
    ) throws {
        try withPair { pair in
            pair.client.onRead = { _, _ in journal.entries.append("news") }
            pair.client.resumeReading()
            inCallback(pair) {
                body(pair.server.loop, { pair.server.write([1]) }) {
                    pair.client.close()
                    pair.server.close()
                }
            }
        }
    }

    enum Kind: CaseIterable { case timer, precise, deadline }

    @Test(
        "bytes that came before a moment are read before it, whatever kept the loop",
        arguments: Kind.allCases)
    func bytes(kind: Kind) throws {
        let journal = Journal()
        try withReader(journal) { loop, send, end in
            let wait = Duration.milliseconds(2)
            let passed = {
                journal.entries.append("time")
                end()
            }
            switch kind {
            case .timer:
                var timer: Timer?
                timer = Timer(loop: loop) {
                    timer?.close()
                    passed()
                }
                timer?.schedule(after: wait)
            case .precise:
                // Known to the kernel before the bytes: its news comes first.
                var timer: PreciseTimer?
                timer = PreciseTimer(loop: loop) {
                    guard journal.entries.isEmpty else {
                        timer?.close()
                        return passed()
                    }
                    journal.entries.append("start")
                    timer?.schedule(after: wait)
                    self.block(loop, until: loop.now + wait * 2)
                    send()
                }
                timer?.schedule(after: wait)
                return
            case .deadline:
                var deadlines: DeadlineClass<Int>?
                deadlines = DeadlineClass(loop: loop, timeout: wait) { _ in
                    deadlines?.close()
                    deadlines = nil  // it holds what holds it
                    passed()
                }
                _ = deadlines?.start(0)
            }
            self.block(loop, until: loop.now + wait * 2)
            send()
        }
        #expect(journal.entries.suffix(2) == ["news", "time"])
    }

    @Test("a connection that stands when its deadline is called late is a connection")
    func connects() throws {
        try withLoop { loop in
            let listener = try TCPListener(loop: loop, address: anyPort) { $0.close() }
            let client = TCPConnection(loop: loop)
            client.connect(to: listener.localAddress, deadline: .milliseconds(1)) {
                client, result in
                #expect(throws: Never.self) { try result.get() }
                client.close()
                listener.close()
            }
            block(loop, until: loop.now + .milliseconds(3))
        }
    }

    @Test("news may withdraw or move the moment that has come")
    func withdrawn() throws {
        try withPair { pair in
            let loop = pair.server.loop
            var timers: [Timer] = []
            let withdrawn = Timer(loop: loop) { Issue.record("it was withdrawn by the news") }
            var moved: [Instant] = []
            var later = loop.now
            let mover = Timer(loop: loop) {
                moved.append(loop.now)
                for timer in timers { timer.close() }
                pair.client.close()
                pair.server.close()
            }
            timers = [withdrawn, mover]
            pair.client.onRead = { _, _ in
                withdrawn.cancel()
                later = loop.now + .milliseconds(3)
                mover.schedule(at: later)
            }
            pair.client.resumeReading()
            inCallback(pair) {
                for timer in timers { timer.schedule(after: .milliseconds(1)) }
                self.block(loop, until: loop.now + .milliseconds(2))
                pair.server.write([1])
            }
            loop.run()
            #expect(moved.count == 1 && moved.allSatisfy { $0 >= later })
        }
    }

    @Test("a moment that comes while another is called waits for its own look at the kernel")
    func whileAnotherIsCalled() throws {
        let journal = Journal()
        try withReader(journal) { loop, send, end in
            var deadlines: DeadlineClass<Int>?
            deadlines = DeadlineClass(loop: loop, timeout: .milliseconds(1)) { number in
                journal.entries.append("time \(number)")
                guard number == 1 else {
                    deadlines?.close()
                    deadlines = nil  // it holds what holds it
                    return end()
                }
                _ = deadlines?.start(2)
                self.block(loop, until: loop.now + .milliseconds(2))
                send()
            }
            _ = deadlines?.start(1)
        }
        #expect(journal.entries == ["time 1", "news", "time 2"])
    }

    @Test("where handing out the news takes long, the kernel is asked once more before time")
    func slowNews() throws {
        try withPair { pair in
            let loop = pair.server.loop
            var entries: [String] = []
            var timer: Timer?
            timer = Timer(loop: loop) {
                entries.append("time")
                timer?.close()
                pair.client.close()
                pair.server.close()
            }
            pair.client.onRead = { _, _ in
                entries.append("client")
                self.block(loop, until: loop.now + EventLoop.staleAfter)
                pair.client.write([1])
            }
            pair.client.resumeReading()
            inCallback(pair) {
                pair.server.onRead = { _, _ in entries.append("server") }
                timer?.schedule(after: .milliseconds(1))
                self.block(loop, until: loop.now + .milliseconds(2))
                pair.server.write([1])
            }
            loop.run()
            #expect(entries == ["client", "server", "time"])
        }
    }

    @Test("more news than the kernel tells at once is still news before time")
    func manyConnections() throws {
        EventLoop.raiseDescriptorLimit()
        // epoll tells 1024 at a time.
        let count = 1100
        try #require(EventLoop.descriptorLimit > 2 * count + 200)
        try withLoop { loop in
            var (read, readAtTime) = (0, 0)
            var servers: [TCPConnection] = []
            var clients: [TCPConnection] = []
            let timer = Timer(loop: loop) {
                readAtTime = read
                for connection in servers + clients { connection.close() }
            }
            let listener = try TCPListener(loop: loop, address: anyPort) { servers.append($0) }
            for _ in 0..<count {
                let client = TCPConnection(loop: loop)
                client.onRead = { _, _ in read += 1 }
                client.connect(to: listener.localAddress, readsAtOnce: true) { client, _ in
                    clients.append(client)
                }
            }
            while servers.count < count || clients.count < count, loop.runOnce() {}
            timer.schedule(after: .milliseconds(1))
            block(loop, until: loop.now + .milliseconds(2))
            for server in servers { server.write([1]) }
            listener.close()
            loop.run()
            timer.close()
            #expect(readAtTime == count)
        }
    }

    @Test("timers come in the order of their moments, though all are called late")
    func order() throws {
        try withLoop { loop in
            var order: [Int] = []
            let timers = [3, 1, 2].map { number in
                let timer = Timer(loop: loop) { order.append(number) }
                timer.schedule(after: .milliseconds(number))
                return timer
            }
            block(loop, until: loop.now + .milliseconds(5))
            loop.run()
            #expect(order == [1, 2, 3])
            for timer in timers { timer.close() }
        }
    }

    @Test(
        "a timer that was told not to keeps no loop running, due or not, precise or not",
        arguments: [Duration.zero, .seconds(3600)])
    func unowned(delay: Duration) throws {
        try withLoop { loop in
            let timer = Timer(loop: loop) {}
            let precise = PreciseTimer(loop: loop) {}
            timer.setKeepsLoopAlive(false)
            precise.setKeepsLoopAlive(false)
            timer.schedule(after: delay)
            precise.schedule(after: delay)
            loop.run()
            timer.close()
            precise.close()
        }
    }

    @Test("a precise timer keeps a loop running while it is scheduled, and not longer")
    func preciseKeeps() throws {
        try withLoop { loop in
            var fired = 0
            let precise = PreciseTimer(loop: loop) { fired += 1 }
            loop.run()
            precise.schedule(after: .milliseconds(1))
            loop.run()
            #expect(fired == 1)
            precise.schedule(after: .seconds(3600))
            precise.cancel()
            loop.run()
            precise.close()
        }
    }
}
