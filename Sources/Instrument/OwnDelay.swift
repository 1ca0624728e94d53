import Pacing
import Reactor
import Telemetry

/// How late this process is while it measures: busy, without a processor, or stopped. What it
/// reads or begins may be late by as much, which is no doing of the target.
public final class OwnDelay {
    private var sampler: DelaySampler
    private var timer: PreciseTimer?
    private let onPause: (Duration, Instant) -> Void
    private var seenActivity = 0

    /// Samples from now on until ``close()``.
    ///
    /// - Parameters:
    ///   - interval: each sample is a wake-up.
    ///   - onPause: told when this process was late by an interval or more, and what time it is.
    ///   - activity: a count of what has happened; nil for something all the time. While it stays
    ///     the same, nothing waits for this process, and samples become fewer.
    public init(
        loop: EventLoop, interval: Duration = .milliseconds(10),
        onPause: @escaping (Duration, Instant) -> Void = { _, _ in }, activity: (() -> Int)? = nil
    ) {
        sampler = DelaySampler(interval: interval, now: loop.now)
        self.onPause = onPause
        let timer = PreciseTimer(loop: loop) { [unowned self] in
            let count = activity?() ?? seenActivity &+ 1
            sample(now: loop.now, isIdle: count == seenActivity)
            seenActivity = count
            self.timer?.schedule(at: sampler.nextDeadline)
        }
        self.timer = timer
        timer.schedule(at: sampler.nextDeadline)
    }

    /// For every moment of the time so far, how late something due then came to be done.
    public var delays: LatencyHistogram { sampler.delays }

    /// Looks at once whether this process was late, before something is judged by the clock.
    public func sample(now: Instant, isIdle: Bool = false) {
        guard let late = sampler.sample(now: now, isIdle: isIdle), late >= sampler.interval
        else { return }
        onPause(late, now)
    }

    /// Ends the sampling; what was found stays. Idempotent.
    public func close() {
        timer?.close()
        timer = nil
    }
}

@available(*, unavailable)
extension OwnDelay: Sendable {}
