import CLibuv
import Pacing
import Testing

@testable import Reactor

@Suite(.serialized) struct TCPTests {
    @Test(
        "bytes come back whole through an echo, both ends are freed",
        arguments: ["127.0.0.1:0", "[::1]:0"])
    func echoes(text: String) throws {
        weak var watched: TCPConnection?
        try withLoop { loop in
            var listener: TCPListener?
            listener = try TCPListener(loop: loop, address: try #require(SocketAddress(text))) {
                echo($0)
                #expect($0.peerAddress?.ipAddress == SocketAddress(text)?.ipAddress)
            }
            let client = TCPConnection(loop: loop)
            watched = client
            var received: [UInt8] = []
            client.onRead = {
                received += $1; if received.count == 11 { $0.endWriting() }
            }
            client.onEnd = { client, error in
                #expect(error == nil)
                #expect(received == Array("hello, loop".utf8))
                client.close()
                listener?.close()
                listener = nil
            }
            client.connect(to: try #require(listener?.localAddress)) { client, result in
                #expect(throws: Never.self) { try result.get() }
                #expect(client.localAddress?.port != 0)
                client.write(Array("hello, loop".utf8))
                client.resumeReading()
            }
        }
        #expect(watched == nil)
    }

    @Test(
        "after a burst the loop asks again without sleeping, for as long as was said",
        arguments: [(0, false), (60_000_000_000, true), (1, false)])
    func pollsBusily(nanoseconds: Int64, busy: Bool) throws {
        if uv_available_parallelism() == 1 { return print("skipped: there is one processor") }
        try withLoop { loop in
            var accepted: [TCPConnection] = []
            let listener = try TCPListener(
                loop: loop, address: anyPort, busyPoll: .nanoseconds(nanoseconds)
            ) { accepted.append($0) }
            let clients = (0..<2).map { _ in TCPConnection(loop: loop) }
            // On loopback both are established, and wait, before the loop runs.
            for client in clients { client.connect(to: listener.localAddress) { _, _ in } }
            while accepted.count < 2 { loop.runOnce() }
            loop.runOnce(wait: false)
            loop.runOnce(wait: false)
            #expect((loop.backendTimeout == .zero) == busy)
            listener.close()
            for connection in accepted + clients { connection.close() }
        }
    }

    private final class Owner {}

    @Test(
        "a closed port is refused, once, after connect has returned; then the object connects again"
    )
    func refusedThenReused() throws {
        try withLoop { loop in
            let listener = try TCPListener(loop: loop, address: anyPort) { echo($0) }
            let open = listener.localAddress
            let gone = try TCPListener(loop: loop, address: anyPort) { _ in }
            let closed = gone.localAddress
            gone.close()
            let connection = TCPConnection(loop: loop)
            let owner = Owner()
            connection.context = owner
            var outcomes = 0
            connection.onClose = { connection in
                #expect(outcomes == 1 && connection.isIdle && connection.context == nil)
                connection.connect(to: open) { connection, result in
                    #expect(throws: Never.self) { try result.get() }
                    connection.abort()
                    listener.close()
                }
            }
            connection.connect(to: closed) { connection, result in
                outcomes += 1
                #expect(connection.context === owner, "whose it is can be asked")
                guard case .failure(let error) = result else {
                    Issue.record("nobody listens there")
                    return
                }
                #expect(error.kind == .refused && error.address == closed)
            }
            #expect(outcomes == 0)
            loop.run()
            #expect(outcomes == 1)
        }
    }

    @Test("a connect withdrawn by close never completes")
    func cancel() throws {
        try withLoop { loop in
            var told: [String] = []
            let listener = try TCPListener(loop: loop, address: anyPort) { $0.close() }
            let connection = TCPConnection(loop: loop)
            connection.onClose = {
                told.append("closed")
                #expect($0.isIdle)
                listener.close()
            }
            connection.connect(to: listener.localAddress) { _, _ in told.append("completed") }
            connection.close()
            #expect(told.isEmpty, "not inside the call")
            loop.run()
            #expect(told == ["closed"])
        }
    }

    @Test("a deadline ends a connect that the backlog never answers")
    func deadline() throws {
        try withLoop { loop in
            // A full backlog drops SYNs: the nearest thing to a silent host that loopback has.
            let listener = try TCPListener(loop: loop, address: anyPort, backlog: 0) { _ in }
            listener.pause()
            let address = listener.localAddress
            var (connected, timedOut) = (0, 0)
            for _ in 0..<6 {
                let connection = TCPConnection(loop: loop)
                let begin = loop.now
                connection.connect(to: address, deadline: .milliseconds(100)) {
                    connection, result in
                    switch result {
                    case .success: connected += 1
                    case .failure(let error):
                        #expect(error.kind == .timedOut && error.address == address)
                        #expect(loop.now >= begin + .milliseconds(100), "too early")
                        timedOut += 1
                    }
                    connection.close()
                    if connected + timedOut == 6 { listener.close() }
                }
            }
            loop.run()
            #expect(connected + timedOut == 6)
            #expect(timedOut >= 1)
        }
    }

    @Test("the source address of a connect is what the peer sees")
    func sourceAddress() throws {
        try withLoop { loop in
            let source = SocketAddress(IPAddress(v4: 0x7F00_0907), port: 0)
            var listener: TCPListener?
            listener = try TCPListener(loop: loop, address: anyPort) { connection in
                #expect(connection.peerAddress?.ipAddress == source.ipAddress)
                connection.close()
                listener?.close()
                listener = nil
            }
            let client = TCPConnection(loop: loop)
            client.connect(to: try #require(listener?.localAddress), from: source) {
                client, result in
                #expect(throws: Never.self) { try result.get() }
                client.close()
            }
            let foreign = TCPConnection(loop: loop)
            let elsewhere = SocketAddress(IPAddress(v4: 0x0808_0808), port: 0)
            foreign.connect(to: try #require(listener?.localAddress), from: elsewhere) {
                _, result in
                guard case .failure(let error) = result else {
                    Issue.record("bound to a foreign address")
                    return
                }
                #expect(error.kind == .addressNotAvailable && error.isLocal)
            }
        }
    }

    @Test("an aborted connection reaches the peer as a reset, a closed one as the end")
    func resetAndEnd() throws {
        for abortive in [true, false] {
            try withLoop { loop in
                var listener: TCPListener?
                listener = try TCPListener(loop: loop, address: anyPort) { connection in
                    connection.onEnd = { connection, error in
                        #expect((error?.kind == .reset) == abortive)
                        connection.close()
                        listener?.close()
                        listener = nil
                    }
                    connection.resumeReading()
                }
                let client = TCPConnection(loop: loop)
                client.connect(to: try #require(listener?.localAddress)) { client, _ in
                    if abortive { client.abort() } else { client.close() }
                }
            }
        }
    }

    @Test("a writer learns of backpressure, waits, and loses no byte")
    func backpressure() throws {
        try withLoop { loop in
            let total = 32 << 20
            let chunk = [UInt8]((0..<65536).map { UInt8(truncatingIfNeeded: $0 / 7) })
            var received = 0
            var intact = true
            var pressed = 0
            var listener: TCPListener?
            listener = try TCPListener(loop: loop, address: anyPort) { connection in
                connection.onRead = { _, bytes in
                    for (offset, byte) in bytes.enumerated() where offset % 4099 == 0 {
                        intact = intact && byte == chunk[(received + offset) % chunk.count]
                    }
                    received += bytes.count
                }
                connection.onEnd = { connection, _ in
                    connection.close()
                    listener?.close()
                    listener = nil
                }
                connection.resumeReading()
            }
            var sent = 0
            func produce(_ connection: TCPConnection) {
                while sent < total {
                    sent += chunk.count
                    if connection.write(chunk) == .backpressured {
                        pressed += 1
                        return
                    }
                }
                connection.closeAfterWriting()
            }
            let client = TCPConnection(loop: loop)
            client.onWritable = produce
            client.connect(to: try #require(listener?.localAddress)) { client, _ in produce(client)
            }
            client.onClose = { _ in #expect(sent == total) }
            loop.run()
            #expect(received == total && intact)
            #expect(pressed > 0)
        }
    }

    @Test("paused reading leaves bytes with the kernel until it is resumed")
    func pausedReading() throws {
        try withLoop { loop in
            var listener: TCPListener?
            var isPaused = true
            listener = try TCPListener(loop: loop, address: anyPort) { connection in
                connection.onRead = { connection, bytes in
                    #expect(!isPaused)
                    #expect(Array(bytes) == [1, 2, 3])
                    connection.close()
                    listener?.close()
                    listener = nil
                }
                loop.enqueue {
                    isPaused = false
                    connection.resumeReading()
                }
            }
            let client = TCPConnection(loop: loop)
            client.connect(to: try #require(listener?.localAddress)) { client, _ in
                client.write([1, 2, 3])
                client.closeAfterWriting()
            }
        }
    }

    @Test("a port that is taken is one clear line")
    func addressInUse() throws {
        try withLoop { loop in
            let listener = try TCPListener(loop: loop, address: anyPort) { _ in }
            #expect {
                try TCPListener(loop: loop, address: listener.localAddress) { _ in }
            } throws: { error in
                let expected = "listen on \(listener.localAddress): address already in use"
                return "\(error)" == expected && (error as? UVError)?.kind == .addressInUse
            }
            listener.close()
        }
    }
}
