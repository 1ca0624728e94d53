import Pacing
import Testing

@testable import Reactor

/// Calls from inside callbacks: everything may be opened, closed and rescheduled there.
@Suite struct ReentrancyTests {
    @Test("a connection connects again from inside its own onClose")
    func connectInsideOnClose() throws {
        try withLoop { loop in
            var rounds = 0
            let listener = try TCPListener(loop: loop, address: anyPort) { echo($0) }
            let connection = TCPConnection(loop: loop)
            func again(_ connection: TCPConnection) {
                rounds += 1
                if rounds == 6 { return listener.close() }
                connection.onClose = again
                connection.connect(to: listener.localAddress, deadline: .seconds(5)) {
                    connection, result in
                    #expect(throws: Never.self) { try result.get() }
                    if rounds % 2 == 0 { connection.abort() } else { connection.close() }
                }
            }
            again(connection)
            loop.run()
            #expect(rounds == 6)
        }
    }

    @Test("the failure of a connect that was withdrawn does not hit the next one")
    func staleFailure() throws {
        try withLoop { loop in
            let foreign = SocketAddress(IPAddress(v4: 0x0808_0808), port: 0)
            var connected = 0
            let other = TCPConnection(loop: loop)
            var listener: TCPListener?
            listener = try TCPListener(loop: loop, address: anyPort) { echo($0) }
            let address = try #require(listener?.localAddress)
            // From a callback of the poll phase, so that onClose comes before enqueued work.
            other.connect(to: address) { other, _ in
                other.close()
                let connection = TCPConnection(loop: loop)
                connection.onClose = { connection in
                    connection.connect(to: address) { connection, result in
                        #expect(throws: Never.self) { try result.get() }
                        connected += 1
                        connection.close()
                        listener?.close()
                        listener = nil
                    }
                    connection.onClose = { _ in
                        listener?.close()
                        listener = nil
                    }
                }
                connection.connect(to: address, from: foreign) { _, _ in
                    Issue.record("completed after close")
                }
                connection.close()
            }
            loop.run()
            #expect(connected == 1)
        }
    }

    @Test("a listener closed inside its own callback takes nobody else, and all waiting peers end")
    func listenerClosesInside() throws {
        weak var watched: TCPListener?
        try withLoop { loop in
            var accepted = 0
            var ended = 0
            var listener: TCPListener?
            listener = try TCPListener(loop: loop, address: anyPort) { connection in
                accepted += 1
                connection.close()
                listener?.close()
                listener = nil
            }
            watched = listener
            let address = try #require(listener?.localAddress)
            for _ in 0..<10 {
                let client = TCPConnection(loop: loop)
                client.onClose = { _ in ended += 1 }
                client.connect(to: address) { client, result in
                    if case .success = result { client.resumeReading() }
                }
            }
            loop.run()
            #expect(accepted == 1 && ended == 10)
        }
        #expect(watched == nil)
    }

    @Test("reading paused inside onRead stays so, though more is there at once")
    func pauseInsideRead() throws {
        try withPair { pair in
            var isPaused = false
            var received = 0
            pair.server.onRead = { server, bytes in
                #expect(!isPaused)
                received += bytes.count
                isPaused = true
                server.pauseReading()
                server.loop.enqueue {
                    isPaused = false
                    server.resumeReading()
                }
            }
            pair.server.onEnd = { server, error in
                #expect(error == nil && received >= 4 << 20)
                server.close()
            }
            flood(pair.client)
            pair.client.closeAfterWriting()
            pair.server.resumeReading()
        }
    }

    @Test(
        "a timer that asks for a moment gone by, again and again, lets the others have their turn")
    func timerStarvesNobody() throws {
        try withLoop { loop in
            var fired = 0
            var accepted = 0
            let start = Instant(nanoseconds: 0)
            var timer: Timer?
            timer = Timer(loop: loop) {
                fired += 1
                if fired < 100_000 { timer?.schedule(at: start) }
            }
            timer?.schedule(at: start)
            let listener = try TCPListener(loop: loop, address: anyPort) { connection in
                accepted += 1
                connection.close()
                timer?.close()
                timer = nil
            }
            let client = TCPConnection(loop: loop)
            client.connect(to: listener.localAddress) { client, _ in client.close() }
            while timer != nil, fired < 100_000 { loop.runOnce() }
            #expect(fired < 100_000 && accepted == 1)
            timer?.close()
            listener.close()
        }
    }

    @Test("a timer scheduled again from inside its callback can be withdrawn and moved there")
    func timerInside() throws {
        try withLoop { loop in
            var fired = 0
            let past = loop.now
            var timer: Timer?
            timer = Timer(loop: loop) {
                fired += 1
                timer?.schedule(at: past)
                if fired == 3 {
                    timer?.cancel()
                    loop.enqueue {
                        #expect(fired == 3 && timer?.deadline == nil)
                        timer?.schedule(at: past)
                    }
                } else if fired == 4 {
                    timer?.schedule(after: .milliseconds(2))
                    #expect((timer?.deadline ?? past) > past)
                } else if fired == 5 {
                    timer?.close()
                    timer = nil
                }
            }
            timer?.schedule(at: past)
            loop.run()
            #expect(fired == 5)
        }
    }

    @Test(
        "a deadline that passed is over: restarting it in onExpire does nothing, a new one runs",
        arguments: [Duration.zero, .milliseconds(2)])
    func deadlineInside(timeout: Duration) throws {
        try withLoop { loop in
            var passed: [Int] = []
            var deadlines: DeadlineClass<Int>?
            var token: DeadlineToken?
            deadlines = DeadlineClass(loop: loop, timeout: timeout) { number in
                passed.append(number)
                if let token { deadlines?.restart(token) }
                if number < 3 {
                    token = deadlines?.start(number + 1)
                } else {
                    #expect(deadlines?.isEmpty == true)
                    deadlines?.close()
                }
            }
            token = deadlines?.start(1)
            loop.run()
            #expect(passed == [1, 2, 3])
            deadlines = nil
        }
    }

    @Test("two thousand connections come and go in every way, and nothing of them stays")
    func churn() throws {
        weak var sample: TCPConnection?
        try withLoop { loop in
            var random = SeededRandom(seed: 7)
            var (started, ended) = (0, 0)
            let listener = try TCPListener(loop: loop, address: anyPort) { connection in
                if connection.peerAddress?.port.isMultiple(of: 5) == true {
                    connection.abort()
                } else {
                    echo(connection)
                }
            }
            func next(_ connection: TCPConnection) {
                guard started < 2000 else { return }
                started += 1
                let way = Int.random(in: 0..<5, using: &random)
                connection.onRead = { connection, _ in connection.endWriting() }
                connection.onClose = { connection in
                    ended += 1
                    if ended == 2000 { listener.close() }
                    next(way == 0 ? TCPConnection(loop: loop) : connection)
                }
                connection.connect(to: listener.localAddress, deadline: .seconds(10)) {
                    connection, _ in
                    connection.resumeReading()
                    connection.write([1, 2, 3])
                    if way == 1 { connection.abort() }
                    if way == 2 { connection.closeAfterWriting() }
                }
                if way == 3 { connection.close() }
            }
            for _ in 0..<64 { next(TCPConnection(loop: loop)) }
            let last = TCPConnection(loop: loop)
            sample = last
            next(last)
            loop.run()
            #expect(started == 2000 && ended == 2000)
            #expect(loop.openHandles["tcp"] == nil)
        }
        #expect(sample == nil)
    }
}
