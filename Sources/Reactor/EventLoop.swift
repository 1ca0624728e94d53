import CLibuv
import Pacing

/// A single-threaded event loop on libuv.
///
/// A loop and everything opened on it belong to the thread that runs it; the doors from other
/// threads are ``LoopPoster`` and ``Wakeup``. There is no global and no default loop.
///
///     let loop = try EventLoop()
///     let listener = try TCPListener(loop: loop, address: address) { connection in … }
///     loop.run()          // until stop(), or until nothing is open any more
///     try loop.close()    // throws when a handle was left open
///
/// News comes before time: a timer or a deadline whose moment has come is called only after a look
/// at the kernel that began when the moment had come already, and after all that this look told was
/// handed out. So an answer that lies in a socket is never taken for silence, however long the
/// process was kept from its work. See ``heardUntil``.
///
/// To run inside another loop, poll ``backendDescriptor`` for readability for at most
/// ``backendTimeout`` and then call ``runOnce(wait:)`` with `wait: false`.
public final class EventLoop {
    let raw: UnsafeMutablePointer<uv_loop_t>

    /// One buffer for all reads of this loop: libuv asks for it right before each read and hands
    /// it back right after, so two connections never hold it at once.
    let readBuffer: UnsafeMutableRawBufferPointer

    /// Listeners that stopped accepting because descriptors ran out.
    var starvedListeners: [ObjectIdentifier: StreamListener] = [:]

    /// All that the kernel had to tell by then has been handed out: what the timers that are called
    /// know of the world. Moves on only when a timer's moment has come, so it may lie long back
    /// where none is called.
    public internal(set) var heardUntil = Instant(nanoseconds: 0)

    /// Where handing out the news took longer than this, there is likely to be more, and the kernel
    /// is asked once more before time is called.
    static let staleAfter = Duration.milliseconds(5)

    /// Of a loop of ``virtual(startingAt:)``; nil where time passes by itself.
    let virtualClock: VirtualClock?

    private var isRunning = false
    /// Requests of connects that have ended, for the next ones: a connection needs one only while
    /// it connects.
    private var connectRequests: [UnsafeMutablePointer<uv_connect_t>] = []

    private var queue: [() -> Void] = []
    /// Timers whose moment has come; the kernel has not been asked since.
    private var due: [DueTimer] = []
    /// Timers that are called after the look at the kernel that is under way.
    private var ripe: [DueTimer] = []
    private let idle = Handle<uv_idle_t>()
    private let check = Handle<uv_check_t>()
    private let busyPoll = Handle<uv_idle_t>()
    private var busyPollEnd: UInt64 = 0
    private lazy var hasOtherProcessors = uv_available_parallelism() > 1
    private var connectDeadlines: [DeadlineClass<TCPConnection>] = []
    /// See ``meter()``.
    var loopMeter: LoopMeter?
    private var isClosed = false

    /// Sets `SIGPIPE` to be ignored unless the program handles it: a write to a peer that has gone
    /// is an error to report.
    ///
    /// - Throws: ``UVError`` when the kernel refuses an epoll or event descriptor.
    public convenience init() throws(UVError) {
        try self.init(clock: nil)
    }

    init(clock: VirtualClock?) throws(UVError) {
        sonde_ignore_sigpipe()
        virtualClock = clock
        heardUntil = clock?.now ?? Instant(nanoseconds: 0)
        raw = .allocate(capacity: 1)
        let code = uv_loop_init(raw)
        if code < 0 {
            raw.deallocate()
            throw UVError(operation: "create event loop", code: code)
        }
        readBuffer = .allocate(byteCount: 65536, alignment: 16)
        // Known from the start, so that whatever else is open at the end was opened by others.
        uv_idle_init(raw, idle.raw)
        uv_check_init(raw, check.raw)
        uv_idle_init(raw, busyPoll.raw)
        (idle.keepsLoopAlive, check.keepsLoopAlive, busyPoll.keepsLoopAlive) = (false, false, false)
        idle.know(self)
        check.know(self)
        busyPoll.know(self)
    }

    deinit {
        // Every open handle keeps its loop alive, so only the loop's own are left to give back.
        if !isClosed { try? close() }
        for request in connectRequests { request.deallocate() }
        readBuffer.deallocate()
        raw.deallocate()
    }

    /// The monotonic clock, read afresh at every call (about 20 ns).
    public var now: Instant { virtualClock?.now ?? Instant(nanoseconds: uv_hrtime()) }

    /// The wall clock: nanoseconds since 1970-01-01T00:00:00Z. Jumps when somebody sets it, so only
    /// for telling people when something was; ``now`` is for measuring.
    public static var wallClockNanoseconds: Int64 { sonde_wall_clock_nanoseconds() }

    /// How many descriptors this process may have open.
    public static var descriptorLimit: Int { Int(clamping: sonde_descriptor_limit()) }

    /// Runs until ``stop()``, or until nothing is open any more.
    ///
    /// A listener or a reader that is paused, and a timer that is not scheduled, have nothing to
    /// wait for and do not keep it running. Not from inside a callback of this loop.
    public func run() {
        if let virtualClock { return runVirtually(virtualClock) }
        whileRunning { spin(UV_RUN_DEFAULT) }
    }

    /// Runs one turn: what is due and what the kernel reports.
    ///
    /// - Parameter wait: whether to block until there is something to do.
    /// - Returns: whether anything is still open.
    @discardableResult
    public func runOnce(wait: Bool = true) -> Bool {
        if let virtualClock { return runOnceVirtually(virtualClock, wait: wait) }
        if wait { return whileRunning { spin(UV_RUN_ONCE) } }
        // Counted as busy, because libuv would not even look at a loop where nothing keeps it
        // running: a guest's signals and unowned timers want their turn all the same.
        raw.pointee.active_handles += 1
        whileRunning { spin(UV_RUN_NOWAIT) }
        raw.pointee.active_handles -= 1
        return uv_loop_alive(raw) != 0
    }

    /// Makes ``run()`` return after the current turn. Only from the loop's own thread; others
    /// have it called through a ``LoopPoster``.
    public func stop() {
        if let virtualClock { return stopVirtually(virtualClock) }
        uv_stop(raw)
    }

    /// The descriptor that becomes readable when this loop has something to do.
    public var backendDescriptor: Int32 { uv_backend_fd(raw) }

    /// How long a surrounding loop may wait before it must call ``runOnce(wait:)``; nil when only
    /// the descriptor decides, as it does while nothing is open.
    public var backendTimeout: Duration? {
        if isClosed { return nil }
        uv_update_time(raw)
        // libuv says zero for a loop that has nothing to wait for, because its own run would return
        // at once; a surrounding loop would spin on that. Counted as busy for the length of the
        // question, it says what its timers and its unfinished business really ask for.
        raw.pointee.active_handles += 1
        let milliseconds = uv_backend_timeout(raw)
        raw.pointee.active_handles -= 1
        return milliseconds < 0 ? nil : .milliseconds(Int64(milliseconds))
    }

    /// Runs `work` in the next turn, never before this call has returned.
    public func enqueue(_ work: @escaping () -> Void) {
        precondition(!isClosed, "work enqueued on a closed loop")
        queue.append(work)
        if queue.count == 1 { startIdle(keepsLoopAlive: true) }
    }

    /// Gives the loop back. Runs work that is still enqueued, and waits for look-ups under way,
    /// which nothing can interrupt. Not from inside a callback of this loop.
    ///
    /// - Throws: ``UVError`` (busy) when a handle was left open; the loop then stays usable, so
    ///   that the handle can be closed and the call repeated.
    public func close() throws(UVError) {
        guard !isClosed else { return }
        var turns = 0
        repeat {
            whileRunning { spin(UV_RUN_NOWAIT) }  // work still enqueued; it may enqueue more
            closeIdleDeadlines()
            closeMeter()
            // Handles that were closed but whose close callbacks have not run yet are not leaks.
            while uv_loop_alive(raw) != 0, openHandles.isEmpty {
                whileRunning { spin(UV_RUN_ONCE) }
            }
            turns += 1
        } while !queue.isEmpty && turns < 1000
        if !openHandles.isEmpty {
            throw UVError(operation: "close event loop", code: UV_EBUSY.rawValue)
        }
        idle.close { _ in }
        check.close { _ in }
        busyPoll.close { _ in }
        whileRunning { spin(UV_RUN_DEFAULT) }
        let code = uv_loop_close(raw)
        if code < 0 { throw UVError(operation: "close event loop", code: code) }
        isClosed = true
        // Timers that were closed when they had come due hold this loop, which would hold them.
        (due, ripe) = ([], [])
    }

    /// How many handles callers have open, by kind; for tests and diagnostics.
    public var openHandles: [String: Int] {
        var kinds: [String: Int] = [:]
        if isClosed { return kinds }
        withUnsafeMutablePointer(to: &kinds) { kinds in
            uv_walk(
                raw,
                { handle, kinds in
                    guard let handle, let kinds, uv_is_closing(handle) == 0 else { return }
                    let name = uv_handle_type_name(uv_handle_get_type(handle))
                    kinds.assumingMemoryBound(to: [String: Int].self)
                        .pointee[name.map { String(cString: $0) } ?? "unknown", default: 0] += 1
                }, kinds)
        }
        // Nobody else makes these.
        (kinds["idle"], kinds["check"]) = (nil, nil)
        return kinds
    }

    // MARK: - For the handles of this loop

    @discardableResult
    func whileRunning<Result>(_ body: () -> Result) -> Result {
        precondition(!isClosed, "a closed loop cannot run")
        precondition(!isRunning, "a loop cannot run inside its own callbacks")
        isRunning = true
        defer { isRunning = false }
        return body()
    }

    /// One or more of libuv's turns; whether anything is still open.
    @discardableResult
    func spin(_ mode: uv_run_mode) -> Bool { uv_run(raw, mode) != 0 }

    /// Whether there is anything to do without looking at kernel or clock.
    var hasWork: Bool { !queue.isEmpty || raw.pointee.closing_handles != nil }

    /// Starts the deadline of a connect; connects of one duration share one timer.
    func startConnectDeadline(
        _ timeout: Duration, for connection: TCPConnection
    ) -> (DeadlineClass<TCPConnection>, DeadlineToken) {
        let timeout = max(timeout, .zero)  // time that has run out: the next turn says so
        if let known = connectDeadlines.first(where: { $0.timeout == timeout }) {
            return (known, known.start(connection))
        }
        if connectDeadlines.count >= 8 { closeIdleDeadlines() }
        let new = DeadlineClass<TCPConnection>(loop: self, timeout: timeout, ownedByLoop: true) {
            $0.connectDeadlinePassed()
        }
        connectDeadlines.append(new)
        return (new, new.start(connection))
    }

    /// A timer's moment has come: it is called after the next look at the kernel.
    func momentHasCome(_ timer: Timer, serial: UInt32) {
        due.append(DueTimer(timer: timer, serial: serial, wasPostponed: false))
        startIdle(keepsLoopAlive: timer.keepsLoopAlive)
    }

    func takeConnectRequest() -> UnsafeMutablePointer<uv_connect_t> {
        connectRequests.popLast() ?? .allocate(capacity: 1)
    }

    func giveBack(_ request: UnsafeMutablePointer<uv_connect_t>) {
        if connectRequests.count < 256 {
            connectRequests.append(request)
        } else {
            request.deallocate()
        }
    }

    /// A descriptor was given back: listeners that ran out may go on.
    func descriptorFreed() {
        if starvedListeners.isEmpty { return }
        let starved = starvedListeners
        starvedListeners.removeAll()
        for listener in starved.values { listener.retryAccepting() }
    }

    // MARK: - Own handles

    /// Has the loop look at the kernel without sleeping, and before that run what is enqueued.
    private func startIdle(keepsLoopAlive: Bool) {
        if keepsLoopAlive { idle.keepsLoopAlive = true }
        uv_idle_start(idle.raw) { $0?.withOwner(EventLoop.self) { $0.idleTurn() } }
    }

    private func stopIdle() {
        uv_idle_stop(idle.raw)
        idle.keepsLoopAlive = false
    }

    /// Right before the look at the kernel.
    private func idleTurn() {
        let batch = queue
        queue.removeAll(keepingCapacity: batch.count <= 64)
        if due.isEmpty { stopIdle() }
        for work in batch { work() }
        if due.isEmpty { return }
        // Active until after the look, which therefore does not sleep.
        swap(&due, &ripe)
        heardUntil = now
        startCheck()
    }

    private func startCheck() {
        uv_check_start(check.raw) { handle in
            uv_check_stop(handle)
            handle?.withOwner(EventLoop.self) { $0.callTimers() }
        }
    }

    /// After the look at the kernel.
    private func callTimers() {
        if due.isEmpty, queue.isEmpty { stopIdle() }
        var batch: [DueTimer] = []
        swap(&batch, &ripe)
        for entry in batch {
            if !entry.wasPostponed, now - heardUntil > EventLoop.staleAfter {
                due.append(DueTimer(timer: entry.timer, serial: entry.serial, wasPostponed: true))
                startIdle(keepsLoopAlive: entry.timer.keepsLoopAlive)
            } else {
                entry.timer.call(entry.serial)
            }
        }
        batch.removeAll(keepingCapacity: batch.count <= 64)
        ripe = batch
    }

    /// Asks the kernel again and again instead of sleeping, until `duration` from now.
    ///
    /// Whoever makes a sleeping loop's descriptor readable pays for waking it: several microseconds
    /// where that means an interrupt to an idle processor, as it does in most virtual machines.
    /// Does nothing on a single processor, where others could not get on meanwhile.
    func pollBusily(for duration: Duration) {
        busyPollEnd = uv_hrtime() &+ UInt64(clamping: duration.nanoseconds)
        guard hasOtherProcessors else { return }
        // An active idle handle is how libuv is told to poll without waiting.
        uv_idle_start(busyPoll.raw) { handle in
            handle?.withOwner(EventLoop.self) {
                if uv_hrtime() >= $0.busyPollEnd { uv_idle_stop(handle) }
            }
        }
    }

    private func closeIdleDeadlines() {
        for deadlines in connectDeadlines where deadlines.isEmpty { deadlines.close() }
        connectDeadlines.removeAll { $0.isEmpty }
    }
}

@available(*, unavailable)
extension EventLoop: Sendable {}
