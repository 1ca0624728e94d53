import Pacing
import Reactor
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

@Suite struct LoopTests {
    @Test("timers fire in the order of their moments, never early, and can be withdrawn")
    func timers() throws {
        try withLoop { loop in
            let start = loop.now
            var order: [Int] = []
            var timers: [Timer] = []
            for (index, delay) in [30, 10, 20].enumerated() {
                let timer = Timer(loop: loop) {
                    #expect(loop.now >= start + .milliseconds(delay))
                    order.append(delay)
                    timers[index].close()
                    if order.count == 3 {
                        #expect(order == [10, 20, 30])
                        timers = []
                    }
                }
                timer.schedule(at: start + .milliseconds(delay))
                timers.append(timer)
            }
            let withdrawn = Timer(loop: loop) { Issue.record("a cancelled timer fired") }
            withdrawn.schedule(after: .milliseconds(5))
            withdrawn.cancel()
            withdrawn.close()
        }
    }

    @Test("a closed timer frees what its callback held")
    func timerReleases() throws {
        weak var watched: Timer?
        try withLoop { loop in
            var timer: Timer?
            timer = Timer(loop: loop) {
                timer?.close()
                timer = nil
            }
            watched = timer
            timer?.schedule(after: .zero)
        }
        #expect(watched == nil)
    }

    @Test("deadlines of one class pass in order; a restarted one later, a cancelled one never")
    func deadlineClass() throws {
        try withLoop { loop in
            var passed: [String] = []
            var deadlines: DeadlineClass<String>?
            deadlines = DeadlineClass(loop: loop, timeout: .milliseconds(15)) {
                passed.append($0)
                if passed.count == 3 {
                    #expect(passed == ["b", "c", "a"])
                    deadlines?.close()
                    deadlines = nil
                }
            }
            let a = deadlines?.start("a")
            _ = deadlines?.start("b")
            let x = deadlines?.start("x")
            _ = deadlines?.start("c")
            if let a { deadlines?.restart(a) }
            if let x { deadlines?.cancel(x) }
        }
    }

    @Test("enqueued work runs in the next turn, in order, and may enqueue more")
    func enqueue() throws {
        try withLoop { loop in
            var seen: [Int] = []
            loop.enqueue {
                seen.append(1)
                loop.enqueue {
                    seen.append(3)
                }
            }
            loop.enqueue { seen.append(2) }
            #expect(seen.isEmpty, "ran inside the call")
            loop.run()
            #expect(seen == [1, 2, 3])
        }
    }

    @Test("closing a loop with an open handle is refused, and works once it is closed")
    func leakIsReported() throws {
        let loop = try EventLoop()
        let listener = try TCPListener(loop: loop, address: anyPort) { _ in }
        #expect(throws: UVError.self) { try loop.close() }
        listener.close()
        try loop.close()
    }

    @Test("another thread wakes the loop")
    func wakeup() throws {
        try withLoop { loop in
            var wakeup: Wakeup?
            wakeup = try Wakeup(loop: loop) {
                wakeup?.close()
                wakeup = nil
            }
            guard let waker = wakeup else { return }
            var thread = pthread_t()
            let started = pthread_create(
                &thread, nil,
                { context in
                    guard let context else { return nil }
                    Unmanaged<Wakeup>.fromOpaque(context).takeRetainedValue().wake()
                    return nil
                }, Unmanaged.passRetained(waker).toOpaque())
            #expect(started == 0)
            pthread_join(thread, nil)
        }
    }

    @Test("a signal reaches its source, which alone does not keep the loop running")
    func signals() throws {
        try withLoop { loop in
            var source: SignalSource?
            let keepAlive = Timer(loop: loop) {}
            keepAlive.schedule(after: .seconds(15))
            source = try SignalSource(loop: loop, signal: SIGUSR2) {
                source?.close()
                source = nil
                keepAlive.close()
            }
            // To the process: the threads that run tests have signals blocked.
            kill(getpid(), SIGUSR2)
        }
        #expect(throws: UVError.self) {
            try EventLoop().withSignal(SIGKILL)
        }
    }

    @Test("a turn that does not wait hands out a signal though nothing keeps the loop running")
    func signalInEmbeddedLoop() throws {
        let loop = try EventLoop()
        var received = 0
        let source = try SignalSource(loop: loop, signal: SIGUSR2) { received += 1 }
        loop.runOnce(wait: false)
        kill(getpid(), SIGUSR2)
        var entry = pollfd(fd: loop.backendDescriptor, events: Int16(POLLIN), revents: 0)
        #expect(poll(&entry, 1, 5000) == 1)
        #expect(!loop.runOnce(wait: false))
        #expect(received == 1)
        source.close()
        try loop.close()
    }

    @Test("a literal resolves at once, localhost by look-up, and nonsense with a reason")
    func resolver() throws {
        try withLoop { loop in
            var answers = 0
            defer {
                loop.run()
                #expect(answers == 3)
            }
            Resolver.resolve("10.0.0.1", port: 5, loop: loop) { result in
                answers += 1
                #expect((try? result.get()) == [SocketAddress("10.0.0.1:5")].compactMap { $0 })
            }
            Resolver.resolve("localhost", port: 80, loop: loop) { result in
                answers += 1
                let addresses = (try? result.get()) ?? []
                #expect(
                    addresses.contains {
                        $0.ipAddress == .loopbackV4 || $0.ipAddress == .loopbackV6
                    })
                #expect(addresses.allSatisfy { $0.port == 80 })
            }
            Resolver.resolve("no-such-host.invalid", port: 80, loop: loop) { result in
                answers += 1
                guard case .failure(let error) = result else {
                    Issue.record("resolved: \(result)")
                    return
                }
                #expect(error.kind == .unknownName)
            }
            Resolver.resolve("localhost", port: 80, loop: loop) { _ in
                Issue.record("a cancelled query answered")
            }.cancel()
        }
    }

    @Test(
        "a surrounding loop sleeps while there is nothing to do, and until the next timer at most")
    func backendTimeout() throws {
        let loop = try EventLoop()
        #expect(loop.backendTimeout == .zero, "its descriptor is not complete before a turn")
        loop.runOnce(wait: false)
        #expect(loop.backendTimeout == nil)
        let timer = Timer(loop: loop) {}
        timer.schedule(after: .seconds(3600))
        timer.setKeepsLoopAlive(false)
        let timeout = try #require(loop.backendTimeout)
        #expect(timeout > .seconds(3000) && timeout <= .seconds(3601))
        loop.enqueue {}
        #expect(loop.backendTimeout == .zero)
        loop.runOnce(wait: false)
        timer.close()
        #expect(loop.backendTimeout == .zero, "what was closed is not given back yet")
        loop.runOnce(wait: false)
        #expect(loop.backendTimeout == nil)
        try loop.close()
    }

    @Test("a surrounding poll loop drives it by descriptor and timeout alone")
    func embedding() throws {
        let loop = try EventLoop()
        var received: [UInt8] = []
        var listener: TCPListener?
        listener = try TCPListener(loop: loop, address: anyPort) { connection in
            connection.onRead = {
                received += $1; _ = $0
            }
            connection.onEnd = { connection, _ in
                connection.close()
                listener?.close()
                listener = nil
            }
            connection.resumeReading()
        }
        let target = try #require(listener?.localAddress)
        let client = TCPConnection(loop: loop)
        client.connect(to: target) { client, _ in
            client.write(Array("hello".utf8))
            client.closeAfterWriting()
        }
        var turns = 0
        while loop.runOnce(wait: false), turns < 1000 {
            turns += 1
            var entry = pollfd(fd: loop.backendDescriptor, events: Int16(POLLIN), revents: 0)
            let wait =
                loop.backendTimeout.map { Int32(clamping: $0.nanoseconds / 1_000_000) } ?? 5000
            poll(&entry, 1, wait)
        }
        #expect(received == Array("hello".utf8))
        try loop.close()
    }
}

extension EventLoop {
    fileprivate func withSignal(_ number: Int32) throws {
        defer { #expect(throws: Never.self) { try close() } }
        try SignalSource(loop: self, signal: number) {}.close()
    }
}
