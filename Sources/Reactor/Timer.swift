import CLibuv
import Pacing

/// Calls back once at a moment on the loop's clock; may be scheduled again and again.
///
/// libuv counts in whole milliseconds. A timer never fires before its moment, and fires at most
/// about a millisecond after it while the loop is not busy; news that the kernel has when the
/// moment has come is handed out before (see ``EventLoop/heardUntil``).
public final class Timer {
    private let handle = Handle<uv_timer_t>()
    private let loop: LoopReference
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
        self.init(loop: loop, ownedByLoop: false, onFire: onFire)
    }

    /// - Parameter ownedByLoop: the loop itself holds this timer; it must not hold the loop.
    init(
        loop: EventLoop, ownedByLoop: Bool = false, isNews: Bool = false,
        onFire: @escaping () -> Void
    ) {
        self.loop = LoopReference(loop, ownedByLoop: ownedByLoop)
        self.isNews = isNews
        self.onFire = onFire
        uv_timer_init(loop.raw, handle.raw)  // cannot fail: it only fills in the handle
        handle.hold(self)
    }

    /// Fires at `moment` instead of whenever it was to fire; at once when that has passed.
    public func schedule(at moment: Instant) {
        guard onFire != nil else { return }
        renew()
        deadline = moment
        if let clock = loop.with({ $0.virtualClock }) { return clock.schedule(self, at: moment) }
        // Counted from libuv's own cached clock, to which it adds the delay: so the sum is the
        // first whole millisecond at or after the moment, however stale that clock is.
        let dueMilliseconds =
            moment.nanoseconds / 1_000_000 + (moment.nanoseconds % 1_000_000 == 0 ? 0 : 1)
        let nowMilliseconds = uv_now(loop.with { $0.raw })
        let delay = dueMilliseconds > nowMilliseconds ? dueMilliseconds - nowMilliseconds : 0
        uv_timer_start(handle.raw, { $0?.withOwner(Timer.self) { $0.wake() } }, delay, 0)
    }

    /// Fires `delay` from now.
    public func schedule(after delay: Duration) {
        schedule(at: loop.with { $0.now } + delay)
    }

    /// Does not fire any more until it is scheduled again.
    public func cancel() {
        renew()
        deadline = nil
        uv_timer_stop(handle.raw)
    }

    /// Whether a running timer keeps ``EventLoop/run()`` from returning; true at first.
    public func setKeepsLoopAlive(_ keeps: Bool) {
        handle.keepsLoopAlive = keeps
    }

    /// Gives the timer back. Idempotent, and safe inside its own callback.
    public func close() {
        renew()
        deadline = nil
        onFire = nil
        handle.close()
    }

    /// Whatever was scheduled does not come any more.
    private func renew() {
        serial &+= 1
        isDue = false
        if let deadline { loop.with { $0.virtualClock?.cancel(self, at: deadline) } }
    }

    var keepsLoopAlive: Bool { handle.keepsLoopAlive }

    /// The moment may have come.
    func wake() {
        guard let deadline, !isDue else { return }
        guard loop.with({ $0.now }) >= deadline else { return schedule(at: deadline) }
        isDue = true
        uv_timer_stop(handle.raw)
        loop.with { $0.momentHasCome(self, serial: serial) }
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
