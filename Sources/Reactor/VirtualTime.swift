import Pacing

/// The clock of a loop that only moves when it is told, and the timers that wait for it.
///
/// Timers fire exactly at their moments, in their order, those of one moment in the order in which
/// they were scheduled.
final class VirtualTime {
    var now: Instant
    var isStopped = false
    /// In the order in which they fire. Some were put off or withdrawn since.
    private var waiting: [Entry] = []

    private struct Entry {
        let moment: Instant
        let timer: Timer
        let serial: UInt32

        var isScheduled: Bool { timer.isScheduled(serial) }
    }

    /// - Parameter now: not zero, which a program may take for a moment that was never set.
    init(now: Instant) { self.now = now }

    func schedule(_ timer: Timer, serial: UInt32, at moment: Instant) {
        let entry = Entry(moment: max(moment, now), timer: timer, serial: serial)
        // Behind those of the same moment.
        var (low, high) = (0, waiting.count)
        while low < high {
            let middle = (low + high) / 2
            if waiting[middle].moment <= entry.moment { low = middle + 1 } else { high = middle }
        }
        waiting.insert(entry, at: low)
    }

    /// The moment of the timer that fires next.
    var nextMoment: Instant? {
        if let first = waiting.first, first.isScheduled { return first.moment }
        waiting.removeAll { !$0.isScheduled }
        return waiting.first?.moment
    }

    /// Whether a timer waits that a loop runs on for.
    var keepsLoopAlive: Bool { waiting.contains { $0.isScheduled && $0.timer.keepsLoopAlive } }

    /// Moves the clock to the next timer's moment, if that is not after `end`, and takes it out.
    func popNext(until end: Instant) -> (() -> Void)? {
        guard let moment = nextMoment, moment <= end else { return nil }
        let entry = waiting.removeFirst()
        now = max(now, moment)
        return { entry.timer.fire(entry.serial) }
    }

    func removeAll() { waiting = [] }
}

extension EventLoop {
    /// A loop for tests, whose clock stands still but for ``advance(by:)``: what waits a minute in
    /// real life takes no time.
    ///
    /// Everything that asks the loop for the time or for a timer lives in its time; sockets and
    /// processes are real, and do not belong on it. ``MemoryStream`` is what takes their place.
    ///
    /// - Parameter start: what its clock says at first.
    public static func virtual(
        startingAt start: Instant = Instant(nanoseconds: 1_000_000_000)
    ) throws(UVError) -> EventLoop {
        try EventLoop(time: VirtualTime(now: start))
    }

    /// Moves a virtual clock on, and does all that falls due on the way, each at its own moment.
    public func advance(by duration: Duration) {
        advance(to: now + duration)
    }

    /// Moves a virtual clock on to `moment`, and does all that falls due on the way, each at its
    /// own moment; what is enqueued by that is done, too, before this returns.
    public func advance(to moment: Instant) {
        guard let virtualTime else { preconditionFailure("the clock of this loop is the real one") }
        settle()
        while let fire = virtualTime.popNext(until: moment) {
            heard(until: virtualTime.now)
            fire()
            settle()
        }
        virtualTime.now = max(virtualTime.now, moment)
        heard(until: virtualTime.now)
    }

    /// Does what can be done without the clock moving: everything that is enqueued, and what that
    /// enqueues.
    public func settle() {
        precondition(virtualTime != nil, "the clock of this loop is the real one")
        runEnqueued()
    }

    /// ``run()`` under virtual time: from one timer to the next, until none is left.
    func runVirtually(_ time: VirtualTime) {
        time.isStopped = false
        settle()
        while !time.isStopped, time.keepsLoopAlive, let moment = time.nextMoment {
            advance(to: moment)
        }
    }
}
