import CLibuv
import Pacing

/// How promptly a loop gets round to what it has to do.
///
/// Costs two clock readings a turn, one more look at the kernel before each sleep, and one wake-up
/// a second: the *lag*, how late that comes. Everybody on one loop shares one meter.
public final class LoopMeter {
    /// Lengths of time, counted in buckets.
    public struct Tally: Sendable {
        /// One count for each of ``LoopMeter/upperBounds``, not cumulative, and one for what is
        /// above them all.
        public fileprivate(set) var counts = [UInt64](
            repeating: 0, count: LoopMeter.upperBounds.count + 1)
        /// Of all of them.
        public fileprivate(set) var sum = Duration.zero
    }

    /// The inclusive bounds of the buckets: a tenth of a millisecond, below which nobody notices,
    /// to a few seconds, at which an instrument's figures are worthless.
    public static let upperBounds: [Duration] = [
        .microseconds(100), .microseconds(250), .microseconds(500), .milliseconds(1),
        .microseconds(2500), .milliseconds(5), .milliseconds(10), .milliseconds(25),
        .milliseconds(50), .milliseconds(100), .milliseconds(250), .milliseconds(500), .seconds(1),
        .milliseconds(2500),
    ]
    /// Between two samples of the lag.
    private static let lagInterval = Duration.seconds(1)
    private static let boundNanoseconds = upperBounds.map { UInt64($0.nanoseconds) }

    private let raw: UnsafeMutablePointer<uv_loop_t>
    private let prepare = Handle<uv_prepare_t>()
    private var timer: Timer?

    private var turnCounts = [UInt64](repeating: 0, count: upperBounds.count + 1)
    private var busyNanoseconds: UInt64 = 0
    private var turnStart: UInt64
    private var idleBefore: UInt64
    private var lag = Tally()
    private var lagDue: Instant

    /// For how long each turn was busy, sleeping not included: news from the kernel may have waited
    /// as long.
    public var turns: Tally {
        var tally = Tally()
        tally.counts = turnCounts
        tally.sum = .nanoseconds(Int64(clamping: busyNanoseconds))
        return tally
    }

    /// By how much a timer that fires once a second was late, because the loop was busy or the
    /// machine was. Up to a millisecond of it is the resolution of the timer.
    public var lags: Tally { lag }

    fileprivate init(loop: EventLoop) {
        raw = loop.raw
        sonde_measure_idle_time(raw)
        turnStart = uv_hrtime()
        idleBefore = uv_metrics_idle_time(raw)
        lagDue = loop.now
        uv_prepare_init(raw, prepare.raw)
        prepare.hold(self)
        if !loop.isVirtual {  // there a turn takes no time
            uv_prepare_start(prepare.raw) { $0?.withOwner(LoopMeter.self) { $0.turnEnded() } }
        }
        let reference = LoopReference(loop, ownedByLoop: true)
        let timer = Timer(loop: loop, ownedByLoop: true) { [unowned self] in
            lagCame(reference.with { $0.now })
        }
        self.timer = timer
        // Neither is a reason to keep running.
        prepare.keepsLoopAlive = false
        timer.setKeepsLoopAlive(false)
        lagDue = loop.now + LoopMeter.lagInterval
        timer.schedule(at: lagDue)
    }

    /// Just before the loop looks at the kernel.
    private func turnEnded() {
        let now = uv_hrtime()
        let idle = uv_metrics_idle_time(raw)
        let busy = (now &- turnStart) &- (idle &- idleBefore)
        turnStart = now
        idleBefore = idle
        turnCounts[LoopMeter.bucket(of: busy)] &+= 1
        busyNanoseconds &+= busy
    }

    private func lagCame(_ now: Instant) {
        let late = max((now - lagDue).nanoseconds, 0)
        lag.counts[LoopMeter.bucket(of: UInt64(late))] &+= 1
        lag.sum += .nanoseconds(late)
        lagDue = now + LoopMeter.lagInterval
        timer?.schedule(at: lagDue)
    }

    @inline(__always)
    private static func bucket(of nanoseconds: UInt64) -> Int {
        var index = 0
        while index < boundNanoseconds.count, nanoseconds > boundNanoseconds[index] { index += 1 }
        return index
    }

    fileprivate func close() {
        prepare.close()
        timer?.close()
        timer = nil
    }
}

@available(*, unavailable)
extension LoopMeter: Sendable {}

extension EventLoop {
    /// Measures from now on how promptly this loop gets round to things; the same meter for
    /// everybody who asks. It ends with the loop.
    public func meter() -> LoopMeter {
        if let loopMeter { return loopMeter }
        let new = LoopMeter(loop: self)
        loopMeter = new
        return new
    }

    func closeMeter() {
        loopMeter?.close()
        loopMeter = nil
    }
}
