import Foundation
import Testing

/// What became of a process so far, between the threads that follow it and the test's.
///
/// Unchecked: all that changes is touched under `condition` alone.
final class Course: @unchecked Sendable {
    private let condition = NSCondition()
    /// Standard output and standard error.
    private var streams: [[UInt8]] = [[], []]
    /// Of the process, which may be reaped before the rest of its output is read.
    private var status: Int32?
    private var isOver = false
    private var ending: (@Sendable () -> Void)?

    /// Nil while it runs.
    var outcome: Program.Outcome? {
        condition.withLock {
            guard isOver, let status else { return nil }
            return Program.Outcome(
                code: status & 0x7F == 0 ? status >> 8 & 0xFF : -(status & 0x7F),
                output: String(decoding: streams[0], as: UTF8.self),
                errors: String(decoding: streams[1], as: UTF8.self))
        }
    }

    /// Reads what the process says from `streams`, which it closes at its end, and reaps it.
    func follow(_ identifier: pid_t, _ streams: [Int32]) throws {
        let ended = try Channel()
        Thread.detachNewThread { [self] in
            reap(identifier)
            write(ended.writing, "!", 1)
            close(ended.writing)
        }
        Thread.detachNewThread { [self] in
            read(streams, until: ended.reading)
            for descriptor in streams + [ended.reading] { close(descriptor) }
        }
    }

    /// Calls `ending` on some thread when it has ended; at once if it has already.
    func onEnd(_ ending: @escaping @Sendable () -> Void) {
        let isOver = condition.withLock {
            self.ending = self.isOver ? nil : ending
            return self.isOver
        }
        if isOver { ending() }
    }

    func signal(_ identifier: pid_t, _ number: Int32) {
        // Under the lock it is not reaped, so that its number is nobody else's.
        condition.withLock { if status == nil { kill(identifier, number) } }
    }

    /// Waits until `isDone` with the log so far, or until the end.
    ///
    /// The watchdog ends a wait for what never comes; it is no timing assertion.
    func wait(_ what: String, until isDone: (_ errors: [UInt8], _ hasEnded: Bool) -> Bool) {
        condition.lock()
        defer { condition.unlock() }
        let watchdog = Date(timeIntervalSinceNow: 120)
        while !isDone(streams[1], isOver), !isOver {
            if condition.wait(until: watchdog) { continue }
            let said = String(decoding: streams[1].suffix(2000), as: UTF8.self)
            Issue.record("two minutes waited \(what): \(said)")
            return
        }
    }

    private func reap(_ identifier: pid_t) {
        var news = siginfo_t()
        while waitid(P_PID, id_t(identifier), &news, WEXITED | WNOWAIT) < 0, errno == EINTR {}
        condition.withLock {
            var status: Int32 = 0
            waitpid(identifier, &status, 0)
            self.status = status
        }
    }

    /// The news on `ended` come after all that the process itself has written.
    private func read(_ descriptors: [Int32], until ended: Int32) {
        for descriptor in descriptors {
            _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        }
        var polled = (descriptors + [ended]).map {
            pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
        }
        while polled[2].revents == 0 {
            if poll(&polled, nfds_t(polled.count), -1) < 0, errno == EINTR { continue }
            for index in descriptors.indices where !drain(descriptors[index], index) {
                polled[index].fd = -1
            }
        }
        let ending = condition.withLock {
            isOver = true
            condition.broadcast()
            return self.ending
        }
        ending?()
    }

    /// Takes what is there; false at its end.
    private func drain(_ descriptor: Int32, _ index: Int) -> Bool {
        var piece = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Foundation.read(descriptor, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { return count < 0 }
            condition.withLock {
                streams[index] += piece[..<count]
                condition.broadcast()
            }
        }
    }
}

/// A pipe that is not meant for children.
struct Channel {
    let reading: Int32
    let writing: Int32

    init() throws {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0, "no pipe: \(errno)")
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        (reading, writing) = (ends[0], ends[1])
    }
}
