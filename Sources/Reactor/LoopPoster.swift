import CLibuv

/// Brings work to a loop from any thread.
///
///     let poster = try LoopPoster(loop: loop)         // on the loop's thread
///     …
///     poster.post { … }                               // on any: done by the loop
///     …
///     poster.close()                                  // on the loop's thread again
///
/// What one thread posts is done in its order. Many posts wake the loop once; what is posted by
/// work that is being done waits for the next turn. Work that was accepted is done while the loop
/// runs, and at the latest by ``EventLoop/close()``.
public final class LoopPoster: Sendable {
    private let line: PostLine
    private let wakeup: Wakeup

    /// - Parameter keepsLoopAlive: whether ``EventLoop/run()`` goes on for as long as this is open.
    ///   Otherwise it may return while accepted work waits for the loop to run again.
    /// - Throws: ``UVError`` when the kernel refuses an event descriptor.
    public init(loop: EventLoop, keepsLoopAlive: Bool = false) throws(UVError) {
        let line = PostLine(loop: loop)
        self.line = line
        wakeup = try Wakeup(loop: loop) { line.work() }
        wakeup.setKeepsLoopAlive(keepsLoopAlive)
    }

    /// Has the loop do `work`, never before this call has returned where the loop's own thread
    /// calls. From any thread, and whether or not the loop still exists; not from a signal handler.
    ///
    /// - Returns: false after ``close()``: the work is dropped.
    @discardableResult
    public func post(_ work: @escaping @Sendable () -> Void) -> Bool {
        switch line.append(work) {
        case .closed: return false
        case .behindOthers: return true
        case .first:
            wakeup.wake()
            return true
        }
    }

    /// Whether being open keeps ``EventLoop/run()`` from returning. Only on the loop's thread.
    public func setKeepsLoopAlive(_ keeps: Bool) { wakeup.setKeepsLoopAlive(keeps) }

    /// Accepts no more; what was accepted is done in the next turn. Only on the loop's thread.
    /// Idempotent.
    public func close() {
        line.close()
        wakeup.close()
    }
}

/// Work that waits for its loop.
///
/// Unchecked: the lock guards `waiting` and `isOpen`, and the loop's thread alone touches the rest.
/// The lock is libuv's, that is to say the system's, which the thread sanitizer knows.
final class PostLine: @unchecked Sendable {
    /// Where a piece of work came to stand: whoever is first wakes the loop for all.
    enum Place { case closed, first, behindOthers }

    private let lock: UnsafeMutablePointer<uv_mutex_t>
    private var waiting: [@Sendable () -> Void] = []
    private var isOpen = true
    /// Nil once closed: whoever lets go of the poster last must not take the loop along.
    private var loop: EventLoop?

    init(loop: EventLoop) {
        self.loop = loop
        lock = .allocate(capacity: 1)
        uv_mutex_init(lock)  // cannot fail on Linux: a plain mutex needs nothing from the kernel
    }

    deinit {
        uv_mutex_destroy(lock)
        lock.deallocate()
    }

    func append(_ work: @escaping @Sendable () -> Void) -> Place {
        uv_mutex_lock(lock)
        defer { uv_mutex_unlock(lock) }
        guard isOpen else { return .closed }
        waiting.append(work)
        return waiting.count == 1 ? .first : .behindOthers
    }

    /// On the loop's thread.
    func work() {
        for work in take() { work() }
    }

    /// On the loop's thread.
    func close() {
        guard let loop else { return }
        self.loop = nil
        let left = take(andClose: true)
        if !left.isEmpty {
            loop.enqueue { for work in left { work() } }
        }
    }

    /// What waits, taken out of the lock: the work may post more.
    private func take(andClose closes: Bool = false) -> [@Sendable () -> Void] {
        uv_mutex_lock(lock)
        defer { uv_mutex_unlock(lock) }
        if closes { isOpen = false }
        let taken = waiting
        waiting = []
        return taken
    }
}
