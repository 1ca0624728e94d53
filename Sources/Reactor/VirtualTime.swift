import CLibuv
import Pacing

/// The clock of a loop under virtual time, and what is to happen by it.
final class VirtualClock {
    fileprivate(set) var now: Instant
    /// In order of their moments; at equal moments in the order in which they were scheduled.
    private var timers: [Entry] = []
    /// The same for news: what comes from outside, and therefore before the time it came at.
    private var news: [Entry] = []
    fileprivate var isStopped = false

    private struct Entry {
        let moment: Instant
        let timer: Timer
    }

    fileprivate init(now: Instant) { self.now = now }

    func schedule(_ timer: Timer, at moment: Instant) {
        let entry = Entry(moment: moment, timer: timer)
        if timer.isNews {
            VirtualClock.insert(entry, into: &news)
        } else {
            VirtualClock.insert(entry, into: &timers)
        }
    }

    /// - Parameter moment: for which it is scheduled.
    func cancel(_ timer: Timer, at moment: Instant) {
        if timer.isNews {
            VirtualClock.remove(timer, at: moment, from: &news)
        } else {
            VirtualClock.remove(timer, at: moment, from: &timers)
        }
    }

    /// When something happens next.
    fileprivate var nextMoment: Instant? {
        guard let first = timers.first?.moment else { return news.first?.moment }
        return min(first, news.first?.moment ?? first)
    }

    /// Whether anything that keeps a loop running is scheduled.
    fileprivate var keepsLoopAlive: Bool {
        timers.contains { $0.timer.keepsLoopAlive } || news.contains { $0.timer.keepsLoopAlive }
    }

    /// Takes out what happens next of that which a look at `moment` tells: all news, then time.
    fileprivate func popDue(by moment: Instant) -> Timer? {
        if let first = news.first, first.moment <= moment { return news.removeFirst().timer }
        if let first = timers.first, first.moment <= moment { return timers.removeFirst().timer }
        return nil
    }

    /// The first place behind all entries of earlier moments, or of this one too.
    private static func place(
        in entries: [Entry], of moment: Instant, behindEqual: Bool
    ) -> Int {
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            let isBefore =
                entries[middle].moment < moment
                || (behindEqual && entries[middle].moment == moment)
            if isBefore { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private static func insert(_ entry: Entry, into entries: inout [Entry]) {
        entries.insert(entry, at: place(in: entries, of: entry.moment, behindEqual: true))
    }

    private static func remove(_ timer: Timer, at moment: Instant, from entries: inout [Entry]) {
        let first = place(in: entries, of: moment, behindEqual: false)
        guard let index = entries[first...].firstIndex(where: { $0.timer === timer }) else {
            return
        }
        entries.remove(at: index)
    }
}

extension EventLoop {
    /// A loop whose clock moves only when it is told to: ten minutes are over in the time that
    /// their work takes, and every run is the same.
    ///
    ///     let loop = try EventLoop.virtual()
    ///     let (client, server) = MemoryStream.pair(loop: loop, seed: 1)
    ///     …
    ///     loop.advance(by: .seconds(60))      // or run(), until nothing is left to happen
    ///     try loop.close()
    ///
    /// Everything that is timed by the loop follows: ``now``, ``heardUntil``, timers (exactly at
    /// their moments, in order of them, at equal moments in the order in which they were
    /// scheduled), ``DeadlineClass``, ``LoopMeter``'s lag (zero, except by ``stall(for:)``). What
    /// comes through a ``MemoryStream`` comes before any timer of its moment. Work by
    /// ``enqueue(_:)`` is done before time goes on.
    ///
    /// ``run()`` goes from moment to moment until ``stop()``, or until nothing that keeps a loop
    /// running is left. The kernel's sockets, files, threads and child processes can be used, but
    /// time waits for them only in ``run()``, and only while no timer is scheduled.
    ///
    /// - Parameter start: what ``now`` is at first.
    /// - Throws: ``UVError`` when the kernel refuses an epoll or event descriptor.
    public static func virtual(
        startingAt start: Instant = Instant(nanoseconds: 1_000_000_000_000)
    ) throws(UVError) -> EventLoop {
        try EventLoop(clock: VirtualClock(now: start))
    }

    /// Whether it is one of ``virtual(startingAt:)``.
    public var isVirtual: Bool { virtualClock != nil }

    /// Lets time pass, with all that happens meanwhile; ``stop()`` ends it early. Only for a loop
    /// of ``virtual(startingAt:)``, and not from inside its callbacks.
    public func advance(by duration: Duration) {
        advance(to: now + duration)
    }

    /// Lets time pass until `moment`, with all that happens up to it and at it; see
    /// ``advance(by:)``. Time never goes back: for a moment gone by it does what is due now.
    public func advance(to moment: Instant) {
        let clock = requireVirtual()
        whileRunning {
            settleWork()
            while !clock.isStopped, happens(by: moment, clock) { settleWork() }
            if !clock.isStopped, clock.now < moment { move(clock, to: moment) }
        }
        clock.isStopped = false
    }

    /// Does all that can be done without time passing: work enqueued, closings, what is due now.
    public func settle() {
        advance(to: now)
    }

    /// Lets time pass at once, as if this process had been kept from its work: whatever becomes due
    /// meanwhile is late. Only for a loop of ``virtual(startingAt:)``, also inside its callbacks.
    public func stall(for duration: Duration) {
        let clock = requireVirtual()
        clock.now = max(clock.now, clock.now + duration)
    }

    /// ``run()`` of a loop under virtual time.
    func runVirtually(_ clock: VirtualClock) {
        whileRunning {
            settleWork()
            while !clock.isStopped {
                if clock.keepsLoopAlive {
                    _ = happens(by: Instant(nanoseconds: .max), clock)
                } else if uv_loop_alive(raw) != 0 {
                    spin(UV_RUN_ONCE)
                } else {
                    break
                }
                settleWork()
            }
        }
        clock.isStopped = false
    }

    /// ``runOnce(wait:)`` of a loop under virtual time: the next thing that happens.
    func runOnceVirtually(_ clock: VirtualClock, wait: Bool) -> Bool {
        whileRunning {
            if !happens(by: clock.now, clock), !settleWork(), wait {
                _ = happens(by: Instant(nanoseconds: .max), clock)
            }
            settleWork()
        }
        clock.isStopped = false
        return clock.keepsLoopAlive || uv_loop_alive(raw) != 0
    }

    func stopVirtually(_ clock: VirtualClock) { clock.isStopped = true }

    private func requireVirtual() -> VirtualClock {
        guard let virtualClock else {
            preconditionFailure("only the clock of a virtual loop can be moved")
        }
        return virtualClock
    }

    /// The next thing that happens until `limit`; false when there is none.
    private func happens(by limit: Instant, _ clock: VirtualClock) -> Bool {
        guard let next = clock.nextMoment, next <= max(limit, clock.now) else { return false }
        // What one look told is handed out, with what was due then, before another look is taken:
        // a callback that takes long makes the time late, not what came meanwhile.
        if next > heardUntil { move(clock, to: max(clock.now, next)) }
        clock.popDue(by: heardUntil)?.call()
        return true
    }

    private func move(_ clock: VirtualClock, to moment: Instant) {
        clock.now = moment
        heardUntil = moment
    }

    /// Turns without a sleep until nothing is left to do; whether there was anything.
    @discardableResult
    private func settleWork() -> Bool {
        var turns = 0
        while hasWork || turns == 0 {
            if virtualClock?.isStopped == true { return turns > 0 }
            turns += 1
            precondition(turns < 1_000_000, "work that enqueues itself lets no time pass")
            raw.pointee.active_handles += 1
            spin(UV_RUN_NOWAIT)
            raw.pointee.active_handles -= 1
        }
        return turns > 1
    }
}
