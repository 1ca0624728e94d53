import CLibuv
import Pacing

/// Calls back once at a moment on the loop's clock; may be scheduled again and again.
///
/// libuv counts in whole milliseconds. A timer never fires before its moment, and fires at most
/// about a millisecond after it while the loop is not busy; news that the kernel has when the
/// moment has come is handed out before (see ``EventLoop/heardUntil``).
public final class Timer {
    private let handle: UnsafeMutablePointer<uv_timer_t>
    private let loop: EventLoop
    private var onFire: (() -> Void)?
    /// Which moment it was scheduled for: what is due for an earlier one is not called any more.
    private var serial: UInt32 = 0
    /// The moment has come, and the loop knows.
    private var isDue = false
    /// Under virtual time it comes before all others of its moment: it stands for the kernel.
    let isNews: Bool

    /// When it will fire; nil while it is not scheduled.
    public private(set) var deadline: Instant?

    /// A timer that is not scheduled yet.
    /// - Parameter onFire: called each time its moment has come.
    public convenience init(loop: EventLoop, onFire: @escaping () -> Void) {
        self.init(loop: loop, isNews: false, onFire: onFire)
    }

    init(loop: EventLoop, isNews: Bool, onFire: @escaping () -> Void) {
        self.loop = loop
        self.isNews = isNews
        self.onFire = onFire
        handle = .allocate(capacity: 1)
        uv_timer_init(loop.raw, handle)  // cannot fail: it only fills in the handle
        handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
    }

    deinit { handle.deallocate() }

    /// Fires at `moment` instead of whenever it was to fire; at once when that has passed.
    public func schedule(at moment: Instant) {
        guard onFire != nil else { return }
        renew()
        deadline = moment
        if let clock = loop.virtualClock { return clock.schedule(self, at: moment) }
        // Counted from libuv's own cached clock, to which it adds the delay: so the sum is the
        // first whole millisecond at or after the moment, however stale that clock is.
        let dueMilliseconds =
            moment.nanoseconds / 1_000_000 + (moment.nanoseconds % 1_000_000 == 0 ? 0 : 1)
        let nowMilliseconds = uv_now(loop.raw)
        let delay = dueMilliseconds > nowMilliseconds ? dueMilliseconds - nowMilliseconds : 0
        uv_timer_start(
            handle,
            { handle in
                guard let data = handle?.pointee.data else { return }
                Unmanaged<Timer>.fromOpaque(data)._withUnsafeGuaranteedRef { $0.wake() }
            }, delay, 0)
    }

    /// Fires `delay` from now.
    public func schedule(after delay: Duration) {
        schedule(at: loop.now + delay)
    }

    /// Does not fire any more until it is scheduled again.
    public func cancel() {
        renew()
        deadline = nil
        uv_timer_stop(handle)
    }

    /// Whether a running timer keeps ``EventLoop/run()`` from returning; true at first.
    public func setKeepsLoopAlive(_ keeps: Bool) {
        handle.withMemoryRebound(to: uv_handle_t.self, capacity: 1) {
            if keeps { uv_ref($0) } else { uv_unref($0) }
        }
    }

    /// Gives the timer back. Idempotent, and safe inside its own callback.
    public func close() {
        renew()
        deadline = nil
        onFire = nil
        closeHandle(handle) { handle in
            guard let data = handle?.pointee.data else { return }
            Unmanaged<Timer>.fromOpaque(data).release()
        }
    }

    /// Whatever was scheduled does not come any more.
    private func renew() {
        serial &+= 1
        isDue = false
        if let deadline { loop.virtualClock?.cancel(self, at: deadline) }
    }

    var keepsLoopAlive: Bool {
        handle.withMemoryRebound(to: uv_handle_t.self, capacity: 1) { uv_has_ref($0) != 0 }
    }

    /// The moment may have come.
    func wake() {
        guard let deadline, !isDue else { return }
        guard loop.now >= deadline else { return schedule(at: deadline) }
        isDue = true
        uv_timer_stop(handle)
        loop.momentHasCome(self, serial: serial)
    }

    /// Whether it still is due for what it was scheduled for then.
    func awaitsCall(_ serial: UInt32) -> Bool { serial == self.serial && isDue }

    /// The news has been handed out.
    func call(_ serial: UInt32) {
        if awaitsCall(serial) { call() }
    }

    func call() {
        isDue = false
        deadline = nil
        onFire?()
    }
}

/// A timer whose moment has come.
struct DueTimer {
    let timer: Timer
    let serial: UInt32
    /// The kernel has been asked twice.
    let wasPostponed: Bool
}

@available(*, unavailable)
extension Timer: Sendable {}
