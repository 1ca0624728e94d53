import CLibuv
import Glibc
import Synchronization
import Testing

@testable import Reactor

@Suite struct OffLoopTests {
    @Test func theResultComesBackOnTheLoopsThread() throws {
        try withLoop { loop in
            let here = UInt(bitPattern: pthread_self().hashValue)
            var answers: [Int] = []
            for number in 0..<20 {
                loop.runOffLoop {
                    (number * number, UInt(bitPattern: pthread_self().hashValue))
                } then: { square, thread in
                    #expect(thread != here)
                    #expect(UInt(bitPattern: pthread_self().hashValue) == here)
                    answers.append(square)
                }
            }
            #expect(answers.isEmpty)
            loop.run()
            #expect(answers.sorted() == (0..<20).map { $0 * $0 })
        }
    }

    @Test func whatIsCancelledHasNoCompletionAndIsNotBegunAnyMore() throws {
        // Held by as many workers as there are, so that the last one has to wait for its turn.
        let gate = Mutex<Void>(())
        let begun = Atomic<Int>(0)
        try withLoop { loop in
            var ended = 0
            var cancelled: OffLoopWork?
            gate.withLock { _ in
                for _ in 0..<64 {
                    loop.runOffLoop {
                        gate.withLock { _ in }
                    } then: {
                        ended += 1
                    }
                }
                cancelled = loop.runOffLoop {
                    _ = begun.add(1, ordering: .relaxed)
                } then: {
                    Issue.record("a cancelled one was completed")
                }
                cancelled?.cancel()
            }
            loop.run()
            cancelled?.cancel()  // over: nothing to withdraw
            let timesBegun = begun.load(ordering: .relaxed)
            #expect(ended == 64)
            #expect(timesBegun == 0)
        }
    }

    @Test func aLoopThatIsClosedWaitsForWorkUnderWay() throws {
        let done = Atomic<Bool>(false)
        let loop = try EventLoop()
        loop.runOffLoop {
            done.store(true, ordering: .relaxed)
        } then: {
        }
        try loop.close()
        let isDone = done.load(ordering: .relaxed)
        #expect(isDone)
    }
}

@Suite struct DescriptorWatcherTests {
    /// A pair of sockets that know each other.
    private func pair() throws -> (Int32, Int32) {
        var ends: [Int32] = [-1, -1]
        try UVError.check(
            uv_socketpair(Int32(SOCK_STREAM.rawValue), 0, &ends, 0, 0), "open a pair")
        return (ends[0], ends[1])
    }

    @Test func eventsComeAsAskedFor() throws {
        let (ours, theirs) = try pair()
        defer { _ = (sonde_close(ours), sonde_close(theirs)) }
        try withLoop { loop in
            var seen: [DescriptorWatcher.Events] = []
            var watcher: DescriptorWatcher?
            watcher = try DescriptorWatcher(loop: loop, descriptor: ours) { result in
                guard let events = try? result.get() else {
                    Issue.record("watching failed")
                    return
                }
                seen.append(events)
                switch seen.count {
                case 1:
                    // There is always room at first; now for reading only.
                    watcher?.watch(.readable)
                    #expect(write(theirs, "x", 1) == 1)
                case 2:
                    // Not read, so it comes again.
                    break
                case 3:
                    var byte: UInt8 = 0
                    #expect(read(ours, &byte, 1) == 1)
                    shutdown(theirs, Int32(SHUT_WR))
                    watcher?.watch([.readable, .disconnected])
                default:
                    watcher?.close()
                    watcher = nil
                }
            }
            watcher?.watch(.writable)
            loop.run()
            #expect(
                seen == [.writable, .readable, .readable, [.readable, .disconnected]])
        }
    }

    @Test func oneThatWatchesNothingKeepsNoLoopRunning() throws {
        let (ours, theirs) = try pair()
        defer { _ = (sonde_close(ours), sonde_close(theirs)) }
        try withLoop { loop in
            let watcher = try DescriptorWatcher(loop: loop, descriptor: ours) { _ in
                Issue.record("nothing was asked for")
            }
            watcher.watch(.readable)
            watcher.watch([])
            loop.run()
            watcher.close()
            watcher.close()
        }
    }

    @Test func whatCannotBeWatchedIsRefused() throws {
        let file = try #require(fopen("/proc/self/exe", "r"))
        defer { fclose(file) }
        try withLoop { loop in
            let error = #expect(throws: UVError.self) {
                try DescriptorWatcher(loop: loop, descriptor: fileno(file)) { _ in }
            }
            #expect(error?.description == "watch descriptor: operation not permitted")
        }
    }
}
