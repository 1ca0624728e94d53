import Pacing
import Reactor
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// What keeps what alive, and how a loop closes.
@Suite struct LifetimeTests {
    @Test("a loop outlives its creator while a handle is open on it, and goes with the last one")
    func handlesKeepTheLoop() throws {
        weak var watched: EventLoop?
        func check(
            _ kind: String, _ location: SourceLocation = #_sourceLocation,
            _ open: (EventLoop) throws -> () -> Void
        ) throws {
            let close = try {
                let loop = try EventLoop()
                watched = loop
                return try open(loop)
            }()
            #expect(watched != nil, "\(kind) does not hold its loop", sourceLocation: location)
            guard let loop = watched else { return }
            close()
            loop.run()
            try loop.close()
        }
        try check("timer") { Timer(loop: $0) {}.close }
        #expect(watched == nil)
        try check("signal") { try SignalSource(loop: $0, signal: SIGUSR1) {}.close }
        #expect(watched == nil)
        try check("wakeup") { try Wakeup(loop: $0) {}.close }
        #expect(watched == nil)
        try check("poster") { try LoopPoster(loop: $0).close }
        #expect(watched == nil)
        try check("listener") { try TCPListener(loop: $0, address: anyPort) { _ in }.close }
        #expect(watched == nil)
        try check("look-up") { Resolver.resolve("localhost", port: 1, loop: $0) { _ in }.cancel }
        #expect(watched == nil)
    }

    @Test("a wakeup outlives its loop: to wake nobody is nothing")
    func wakeupOutlivesItsLoop() throws {
        weak var gone: EventLoop?
        let wakeup = try {
            let loop = try EventLoop()
            gone = loop
            let wakeup = try Wakeup(loop: loop) { Issue.record("woken") }
            wakeup.close()
            try loop.close()
            return wakeup
        }()
        #expect(gone == nil)
        wakeup.wake()
        wakeup.close()
    }

    @Test("every kind of handle is freed by its close, with all that its callback held")
    func handlesAreFreed() throws {
        final class Held {}
        weak var held: Held?
        weak var loopGone: EventLoop?
        do {
            let loop = try EventLoop()
            loopGone = loop
            let object = Held()
            held = object
            let timer = Timer(loop: loop) { _ = object }
            let signal = try SignalSource(loop: loop, signal: SIGUSR1) { _ = object }
            let wakeup = try Wakeup(loop: loop) { _ = object }
            let listener = try TCPListener(loop: loop, address: anyPort) { _ in _ = object }
            let deadlines = DeadlineClass<Held>(loop: loop, timeout: .seconds(5)) { _ in
                _ = object
            }
            _ = deadlines.start(object)
            let connection = TCPConnection(loop: loop)
            connection.onRead = { _, _ in _ = object }
            connection.context = object
            connection.connect(to: listener.localAddress, deadline: .seconds(9)) { _, _ in
                _ = object
            }
            Resolver.resolve("localhost", port: 1, loop: loop) { _ in _ = object }.cancel()
            timer.close()
            signal.close()
            wakeup.close()
            listener.close()
            deadlines.close()
            connection.close()
            timer.close()
            signal.close()
            wakeup.close()
            listener.close()
            deadlines.close()
            connection.close()
            loop.run()
            #expect(loop.openHandles.allSatisfy { $0.key == "timer" || $0.key == "idle" })
            try loop.close()
            #expect(loop.openHandles.isEmpty)
        }
        #expect(held == nil && loopGone == nil)
    }

    @Test("deadlines nobody holds any more are withdrawn, and leave nothing open")
    func droppedDeadlines() throws {
        let loop = try EventLoop()
        var deadlines: DeadlineClass<Int>? = DeadlineClass(loop: loop, timeout: .seconds(3600)) {
            Issue.record("passed: \($0)")
        }
        _ = deadlines?.start(1)
        deadlines = nil
        loop.run()
        try loop.close()
    }

    @Test("work enqueued by work still runs when the loop closes")
    func closeRunsNestedWork() throws {
        let loop = try EventLoop()
        var ran = 0
        func nest(_ depth: Int) {
            ran += 1
            if depth > 0 { loop.enqueue { nest(depth - 1) } }
        }
        loop.enqueue { nest(5) }
        try loop.close()
        #expect(ran == 6)
    }

    @Test("closing a loop waits for look-ups under way; a withdrawn one says nothing")
    func closeWithLookUp() throws {
        let loop = try EventLoop()
        var answers = 0
        Resolver.resolve("localhost", port: 1, loop: loop) { _ in answers += 1 }
        for _ in 0..<20 {
            Resolver.resolve("localhost", port: 1, loop: loop) { _ in
                Issue.record("a cancelled query answered")
            }.cancel()
        }
        try loop.close()
        #expect(answers == 1)
    }

    @Test("a query cancelled after its answer, or twice, is nothing")
    func cancelLate() throws {
        try withLoop { loop in
            var answers = 0
            var query: Resolver.Query?
            query = Resolver.resolve("localhost", port: 1, loop: loop) { _ in
                answers += 1
                query?.cancel()
                query?.cancel()
                loop.enqueue {
                    query?.cancel()
                    query = nil
                }
            }
            loop.run()
            #expect(answers == 1 && query == nil)
        }
    }

    @Test("a name that does not resolve is named in the error")
    func unknownName() throws {
        try withLoop { loop in
            var outcomes: [Result<[SocketAddress], UVError>] = []
            Resolver.resolve("no-such-host.invalid", port: 80, loop: loop) { outcomes.append($0) }
            loop.run()
            guard outcomes.count == 1, case .failure(let error) = outcomes[0] else {
                Issue.record("\(outcomes)")
                return
            }
            #expect("\(error)".hasPrefix("resolve no-such-host.invalid: "))
        }
    }

    @Test("connects with ever other deadlines, negative ones too, do not gather timers")
    func manyDeadlines() throws {
        try withLoop { loop in
            var ended = 0
            let listener = try TCPListener(loop: loop, address: anyPort) { $0.close() }
            func next() {
                let connection = TCPConnection(loop: loop)
                connection.onClose = { _ in
                    ended += 1
                    if ended < 100 { next() } else { listener.close() }
                }
                let deadline = Duration.milliseconds(5000 - 51 * ended)
                connection.connect(to: listener.localAddress, deadline: deadline) { connection, _ in
                    connection.close()
                }
            }
            next()
            loop.run()
            #expect(ended == 100)
            #expect((loop.openHandles["timer"] ?? 0) < 20)
        }
    }
}
