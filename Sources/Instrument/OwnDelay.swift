import Pacing
import Reactor
import Telemetry

/// How late this process is while it measures: busy, without a processor, or stopped. What it
/// reads or begins may be late by as much, which is no doing of the target.
public final class OwnDelay {
    private var sampler: DelaySampler
    private var timer: PreciseTimer?
    private let onPause: (Duration, Instant) -> Void

    /// Samples from now on until ``close()``.
    ///
    /// - Parameters:
    ///   - interval: each sample is a wake-up.
    ///   - onPause: told when this process was late by an interval or more, and what time it is.
    public init(
        loop: EventLoop, interval: Duration = .milliseconds(10),
        onPause: @escaping (Duration, Instant) -> Void = { _, _ in }
    ) {
        sampler = DelaySampler(interval: interval, now: loop.now)
        self.onPause = onPause
        let timer = PreciseTimer(loop: loop) { [unowned self] in
            sample(now: loop.now)
            self.timer?.schedule(at: sampler.nextDeadline)
        }
        self.timer = timer
        timer.schedule(at: sampler.nextDeadline)
    }

    /// For every moment of the time so far, how late something due then came to be done.
    public var delays: LatencyHistogram { sampler.delays }

    /// Looks at once whether this process was late, before something is judged by the clock.
    public func sample(now: Instant) {
        if let late = sampler.sample(now: now), late >= sampler.interval { onPause(late, now) }
    }

    /// Ends the sampling; what was found stays. Idempotent.
    public func close() {
        timer?.close()
        timer = nil
    }
}

@available(*, unavailable)
extension OwnDelay: Sendable {}
