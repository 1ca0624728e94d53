import Pacing
import Reactor
import Testing

/// What holds for every ``ByteStream``, whatever carries it.
enum StreamKind: CaseIterable {
    case tcp
    case unix
    /// Without delay, in one piece.
    case memory
    /// Late, slow, and cut into pieces at random.
    case roughMemory

    /// Runs a rule on both ends of a connection of this kind, and what it started to the end.
    func check(
        _ rule: some StreamRule, _ location: SourceLocation = #_sourceLocation
    ) throws {
        switch self {
        case .tcp:
            try withPair(location) { try rule.check($0.client, $0.server) }
        case .unix:
            try withUnixPair(location) { try rule.check($0, $1) }
        case .memory:
            try withMemory(MemoryStream.Path(), location, rule)
        case .roughMemory:
            var path = MemoryStream.Path()
            path.latency = .milliseconds(3)...(.milliseconds(5))
            path.bytesPerSecond = 10_000_000
            path.capacity = 10_000
            path.pieces = 1...700
            try withMemory(path, location, rule)
        }
    }

    private func withMemory(
        _ path: MemoryStream.Path, _ location: SourceLocation, _ rule: some StreamRule
    ) throws {
        for seed in 0..<4 as Range<UInt64> {
            var path = path
            if self == .roughMemory, seed == 3 { (path.pieces, path.capacity) = (1...40_000, 777) }
            weak var watched: MemoryStream?
            try withVirtualLoop(location) { loop in
                let (client, server) = MemoryStream.pair(on: loop, path: path, seed: seed)
                watched = server
                try rule.check(client, server)
                loop.run()
            }
            #expect(watched == nil, "not freed", sourceLocation: location)
        }
    }
}

protocol StreamRule {
    func check<Stream: ByteStream>(_ client: Stream, _ server: Stream) throws
}

extension ByteStream {
    /// Writes until more waits than any path takes.
    func flood() {
        let chunk = [UInt8](repeating: 7, count: 1 << 20)
        while unsentBytes < 4 << 20 { write(chunk) }
    }

    var isReset: (Failure?) -> Bool {
        // Of a write to a peer that has gone, a Unix socket says the latter.
        let reasons = ["connection reset", "broken pipe"]
        return { failure in
            guard let failure, !failure.isLocal else { return false }
            return reasons.contains { "\(failure)".contains($0) }
        }
    }
}

struct CarriesBytes: StreamRule {
    /// All arrives in order; nothing is called from inside what causes it; the writer is told to
    /// wait and to go on; both halves end by themselves.
    func check<Stream: ByteStream>(_ client: Stream, _ server: Stream) throws {
        var (sent, got, writables) = (0, 0, 0)
        let total = 12 << 20
        let chunk = (0..<100_003).map { UInt8(truncatingIfNeeded: $0) }
        var isInside = false
        func produce(_ client: Stream) {
            isInside = true
            defer { isInside = false }
            while sent < total {
                sent += chunk.count
                if client.write(chunk) == .backpressured {
                    #expect(client.unsentBytes > 256 * 1024)
                    return
                }
            }
            client.endWriting()
            #expect(client.write([1]) == .closed)
        }
        client.onWritable = { client in
            #expect(!isInside && client.unsentBytes <= 128 * 1024)
            writables += 1
            produce(client)
        }
        server.onRead = { _, bytes in
            #expect(!isInside && !bytes.isEmpty)
            #expect(bytes.first == chunk[got % chunk.count])
            got += bytes.count
            #expect(bytes.last == chunk[(got - 1) % chunk.count])
        }
        server.onEnd = { server, error in
            #expect(error == nil && got == sent && !isInside)
            server.write([42])
            server.closeAfterWriting()
        }
        var answer: [UInt8] = []
        client.onRead = { answer += $1 }
        client.onEnd = { client, error in
            #expect(error == nil && answer == [42])
            client.close()
        }
        client.resumeReading()
        server.resumeReading()
        produce(client)
        #expect(got == 0)
        client.loop.run()
        #expect(got == sent && writables > 0)
    }
}

struct PausedTakesNothing: StreamRule {
    /// What is not read backs up into the writer's count, and moves on when it is read.
    func check<Stream: ByteStream>(_ client: Stream, _ server: Stream) throws {
        var got = 0
        var waited = false
        client.flood()
        let taken = client.takenBytes
        server.onRead = { server, bytes in
            #expect(!server.isPausedForTest, "read while paused")
            got += bytes.count
            if waited || got < 300_000 { return }
            waited = true
            server.pauseReading()
            server.isPausedForTest = true
            server.loop.enqueue {
                server.loop.enqueue {
                    server.isPausedForTest = false
                    server.resumeReading()
                }
            }
        }
        server.onEnd = { server, error in
            #expect(error == nil && got >= 4 << 20 && client.takenBytes != taken)
            server.close()
        }
        client.closeAfterWriting()
        #expect(client.write([1]) == .closed && client.isOpen)
        server.resumeReading()
        client.loop.run()
        #expect(waited && got >= 4 << 20 && !client.isOpen)
    }
}

extension ByteStream {
    fileprivate var isPausedForTest: Bool {
        get { tag == 1 }
        set { tag = newValue ? 1 : 0 }
    }
}

struct AbortIsReset: StreamRule {
    /// What came before a reset is read first; the reset is told once.
    func check<Stream: ByteStream>(_ client: Stream, _ server: Stream) throws {
        var told: [String] = []
        client.onRead = { told.append(String(decoding: $1, as: UTF8.self)) }
        client.onEnd = { client, error in
            #expect(client.isReset(error))
            told.append("reset")
            #expect(client.write([1]) == .closed, "nobody takes anything")
        }
        client.onClose = { _ in told.append("closed") }
        server.write(Array("bye".utf8))
        let timers = [
            Timer(loop: server.loop) { server.abort() },
            Timer(loop: server.loop) { client.resumeReading() },
        ]
        timers[0].schedule(after: .milliseconds(50))
        timers[1].schedule(after: .milliseconds(100))
        client.loop.run()
        for timer in timers { timer.close() }
        // The write after the end has closed it: nobody is left to be told otherwise.
        #expect(told.joined() == "byeresetclosed")
    }
}

struct UnreadIsReset: StreamRule {
    /// Whoever closes with bytes unread lets the peer know that they were not read.
    func check<Stream: ByteStream>(_ client: Stream, _ server: Stream) throws {
        client.write([1, 2, 3])
        let timer = Timer(loop: server.loop) { server.close() }
        timer.schedule(after: .milliseconds(50))
        var ends = 0
        client.onEnd = { client, error in
            #expect(client.isReset(error))
            ends += 1
            client.close()
        }
        client.resumeReading()
        client.loop.run()
        timer.close()
        #expect(ends == 1)
    }
}

struct LateBytesMeetReset: StreamRule {
    /// A peer that closes is one end, what is sent to it afterwards another: the first is told.
    func check<Stream: ByteStream>(_ client: Stream, _ server: Stream) throws {
        var told: [String] = []
        client.onEnd = { client, error in
            told.append(error == nil ? "end" : "reset")
            client.write([1])  // taken, and answered with a reset
            let timer = Timer(loop: client.loop) { client.write([2]) }
            timer.schedule(after: .milliseconds(50))
            client.onClose = { _ in
                told.append("closed")
                timer.close()
            }
        }
        client.resumeReading()
        server.close()
        client.loop.run()
        #expect(told == ["end", "closed"])
    }
}

struct ClosesInside: StreamRule {
    /// Closing inside any callback is the end of all but onClose, which comes once and later.
    enum Moment: CaseIterable { case read, writable, end }
    let moment: Moment

    func check<Stream: ByteStream>(_ client: Stream, _ server: Stream) throws {
        var (isClosed, closes) = (false, 0)
        let owner = server
        client.context = owner
        func reached(_ here: Moment, _ client: Stream) {
            #expect(!isClosed, "\(here) after the close")
            guard here == moment else { return }
            isClosed = true
            client.close()
            client.abort()
            #expect(!client.isOpen && client.context == nil && client.unsentBytes == 0)
            #expect(client.write([1]) == .closed)
            client.resumeReading()
            client.endWriting()
            client.closeAfterWriting()
            #expect(closes == 0, "called from inside the close")
        }
        client.onRead = { client, _ in reached(.read, client) }
        client.onWritable = { reached(.writable, $0) }
        client.onEnd = { client, _ in
            reached(.end, client)
            client.close()
            isClosed = true
        }
        client.onClose = { _ in closes += 1 }
        client.flood()
        client.resumeReading()
        server.onRead = { server, _ in
            if server.tag == 0 { server.write([1]) }
            server.tag += 1
            if server.tag == 40, moment == .end { server.abort() }
        }
        server.onEnd = { server, _ in server.close() }
        server.resumeReading()
        client.loop.run()
        #expect(isClosed && closes == 1)
    }
}

struct QueuedWriteFails: StreamRule {
    /// A paused writer whose peer goes away is told so once, and what was queued is given up.
    func check<Stream: ByteStream>(_ client: Stream, _ server: Stream) throws {
        var ends = 0
        client.onWritable = { _ in Issue.record("nobody has read anything") }
        client.onRead = { _, _ in Issue.record("reading is paused") }
        client.onEnd = { client, error in
            ends += 1
            #expect(client.isReset(error) && client.unsentBytes == 0)
            client.close()
        }
        client.flood()
        server.abort()
        client.loop.run()
        #expect(ends == 1)
    }
}

struct EndWithoutReader: StreamRule {
    /// Without onEnd a stream closes itself.
    func check<Stream: ByteStream>(_ client: Stream, _ server: Stream) throws {
        var closes = 0
        server.onClose = { _ in closes += 1 }
        server.resumeReading()
        client.close()
        client.loop.run()
        #expect(closes == 1 && !server.isOpen)
    }
}

@Suite struct StreamContractTests {
    @Test("bytes arrive whole and in order, with backpressure", arguments: StreamKind.allCases)
    func carries(kind: StreamKind) throws { try kind.check(CarriesBytes()) }

    @Test("a paused reader holds the writer back", arguments: StreamKind.allCases)
    func paused(kind: StreamKind) throws { try kind.check(PausedTakesNothing()) }

    // To the peer of a Unix socket, an abort is an end as any other.
    @Test(
        "an abort is a reset behind what came before",
        arguments: StreamKind.allCases.filter { $0 != .unix })
    func aborts(kind: StreamKind) throws { try kind.check(AbortIsReset()) }

    @Test("closing with bytes unread is a reset", arguments: StreamKind.allCases)
    func unread(kind: StreamKind) throws { try kind.check(UnreadIsReset()) }

    @Test("bytes sent to an end that was closed fail later", arguments: StreamKind.allCases)
    func late(kind: StreamKind) throws { try kind.check(LateBytesMeetReset()) }

    @Test(
        "closing inside any callback ends all callbacks", arguments: StreamKind.allCases,
        ClosesInside.Moment.allCases)
    func inside(kind: StreamKind, moment: ClosesInside.Moment) throws {
        try kind.check(ClosesInside(moment: moment))
    }

    @Test("a queued write that fails is told once", arguments: StreamKind.allCases)
    func fails(kind: StreamKind) throws { try kind.check(QueuedWriteFails()) }

    @Test("a stream without onEnd closes itself", arguments: StreamKind.allCases)
    func byItself(kind: StreamKind) throws { try kind.check(EndWithoutReader()) }
}
