import Pacing
import Testing

@testable import Reactor

/// What every stream keeps, whatever it runs over: the same tests for a TCP connection in real
/// time, and for one in memory under virtual time over paths that are as bad as can be.
@Suite struct StreamContractTests {
    /// Bytes that differ wherever they are.
    private static let content = (0..<60_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }

    /// Runs a test on two ends of a connection of each kind.
    private func onEachKind(_ test: Contract) throws {
        try withLoop { loop in
            var listener: TCPListener?
            var ends: [TCPConnection] = []
            let begin = { (connection: TCPConnection) in
                ends.append(connection)
                if ends.count == 2 {
                    listener?.close()
                    // The one that connected is the first, whoever was told sooner.
                    if ends[0].tag != 1 { ends.swapAt(0, 1) }
                    test.run(ends[0], ends[1])
                }
            }
            listener = try TCPListener(loop: loop, address: anyPort, onConnection: begin)
            let client = TCPConnection(loop: loop)
            client.tag = 1
            client.connect(to: try #require(listener?.localAddress)) { connection, _ in
                begin(connection)
            }
            loop.run()
            ends = []
        }
        for seed in 0..<12 as Range<UInt64> {
            var path = MemoryStream.Path()
            if seed > 0 {
                path.latency = .zero ... .milliseconds(40)
                path.pieces = seed % 2 == 0 ? 1...9 : 1...5000
                path.bytesPerSecond = seed % 3 == 0 ? 10_000 : nil
                path.capacity = seed % 4 == 0 ? 1000 : 64 << 10
            }
            let loop = try EventLoop.virtual()
            let (client, server) = MemoryStream.pair(on: loop, path: path, seed: seed)
            test.run(client, server)
            loop.run()
            #expect(throws: Never.self, "seed \(seed)") { try loop.close() }
        }
        #expect(test.count == 13)
    }

    /// A test for any kind of stream; generic closures there are none.
    private class Contract {
        var count = 0
        func run<S: ByteStream>(_ a: S, _ b: S) { count += 1 }
    }

    @Test("bytes arrive whole and in order, both ways at once; and a half-close after them")
    func transfer() throws {
        final class Transfer: Contract {
            override func run<S: ByteStream>(_ a: S, _ b: S) {
                super.run(a, b)
                var received: [[UInt8]] = [[], []]
                var ends = 0
                for (index, stream) in [a, b].enumerated() {
                    stream.onRead = { received[index].append(contentsOf: $1) }
                    stream.onEnd = { _, failure in
                        #expect(failure == nil)
                        #expect(received[index] == StreamContractTests.content)
                        ends += 1
                        if ends == 2 {
                            a.close()
                            b.close()
                        }
                    }
                    stream.resumeReading()
                    stream.write(StreamContractTests.content)
                    stream.endWriting()
                    #expect(stream.write([1]) == .closed)
                }
                #expect(received == [[], []], "read inside the call that sends")
            }
        }
        try onEachKind(Transfer())
    }

    @Test("a reader that takes nothing holds the writer up, who is told when it goes on")
    func backpressure() throws {
        final class Backpressure: Contract {
            override func run<S: ByteStream>(_ a: S, _ b: S) {
                super.run(a, b)
                var written = 0
                while a.write(StreamContractTests.content) == .flowing { written += 1 }
                written += 1
                #expect(a.unsentBytes > TCPConnection.highWaterBytes)
                let expected = written * StreamContractTests.content.count
                var received = 0
                var told = 0
                a.onWritable = {
                    told += 1
                    #expect($0.unsentBytes <= TCPConnection.highWaterBytes)
                    $0.closeAfterWriting()
                    #expect($0.write([1]) == .closed)
                }
                b.onRead = { received += $1.count }
                b.onEnd = { stream, failure in
                    #expect(failure == nil && told == 1 && received == expected)
                    stream.close()
                }
                b.loop.enqueue {
                    #expect(told == 0)
                    b.resumeReading()
                }
            }
        }
        try onEachKind(Backpressure())
    }

    @Test("while reading is paused nothing comes, the end included; then all of it does")
    func pause() throws {
        final class Pause: Contract {
            override func run<S: ByteStream>(_ a: S, _ b: S) {
                super.run(a, b)
                var received: [UInt8] = []
                var isPaused = false
                b.onRead = { stream, bytes in
                    #expect(!isPaused)
                    received.append(contentsOf: bytes)
                    isPaused = true
                    stream.pauseReading()
                    let timer = Timer(loop: stream.loop) {}
                    timer.schedule(after: .milliseconds(1))
                    stream.loop.enqueue {
                        timer.close()
                        isPaused = false
                        stream.resumeReading()
                    }
                }
                b.onEnd = { stream, failure in
                    #expect(!isPaused && failure == nil)
                    #expect(received == Array(StreamContractTests.content[..<2000]))
                    stream.close()
                }
                b.resumeReading()
                a.write(Array(StreamContractTests.content[..<2000]))
                a.closeAfterWriting()
            }
        }
        try onEachKind(Pause())
    }

    @Test("who breaks a connection off is told to the other side as a reset, once")
    func abort() throws {
        final class Abort: Contract {
            override func run<S: ByteStream>(_ a: S, _ b: S) {
                super.run(a, b)
                var ends = 0
                b.onEnd = { stream, failure in
                    ends += 1
                    #expect(failure.map { "\($0)".hasSuffix("connection reset by peer") } == true)
                    stream.write([1])
                    stream.close()
                    #expect(stream.write([1]) == .closed)
                }
                b.onClose = { _ in #expect(ends == 1) }
                b.resumeReading()
                a.abort()
                #expect(!a.isOpen && b.isOpen)
                a.abort()
                a.close()
            }
        }
        try onEachKind(Abort())
    }

    @Test("writing to a peer that has gone ends with a reset; a stream without onEnd closes itself")
    func gone() throws {
        final class Gone: Contract {
            override func run<S: ByteStream>(_ a: S, _ b: S) {
                super.run(a, b)
                a.onClose = { _ in
                    // The first write finds nobody and is answered by a reset.
                    func send() {
                        guard b.isOpen else { return }
                        b.write([1])
                        b.loop.enqueue(send)
                    }
                    b.onClose = { _ in }
                    // Half a second under virtual time, unless it ends before.
                    let timer = Timer(loop: b.loop) { send() }
                    timer.schedule(after: .milliseconds(50))
                    b.onClose = { _ in timer.close() }
                }
                b.resumeReading()
                a.close()
            }
        }
        try onEachKind(Gone())
    }

    @Test("nothing but onClose comes after close, which any callback may call")
    func closing() throws {
        final class Closing: Contract {
            override func run<S: ByteStream>(_ a: S, _ b: S) {
                super.run(a, b)
                var closed = 0
                b.context = self
                b.onRead = { stream, _ in
                    stream.close()
                    #expect(!stream.isOpen && stream.context == nil && stream.unsentBytes == 0)
                    #expect(stream.onRead == nil && closed == 0)
                }
                b.onEnd = { _, _ in Issue.record("told after the close") }
                b.onClose = { _ in closed += 1 }
                a.onEnd = { stream, _ in stream.close() }
                b.resumeReading()
                a.resumeReading()
                a.write(Array(StreamContractTests.content[..<20_000]))
            }
        }
        try onEachKind(Closing())
    }
}
