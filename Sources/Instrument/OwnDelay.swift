import Pacing
import Reactor
import Telemetry

/// How late this process is while it measures: busy, without a processor, or stopped. What it
/// reads or begins may be late by as much, which is no doing of the target.
public final class OwnDelay {
    private var sampler: DelaySampler
    private var timer: PreciseTimer?

    /// Samples from now on until ``close()``.
    /// - Parameter interval: each sample is a wake-up.
    public init(loop: EventLoop, interval: Duration = .milliseconds(10)) {
        sampler = DelaySampler(interval: interval, now: loop.now)
        let timer = PreciseTimer(loop: loop) { [unowned self] in
            sampler.sample(now: loop.now)
            self.timer?.schedule(at: sampler.nextDeadline)
        }
        self.timer = timer
        timer.schedule(at: sampler.nextDeadline)
    }

    /// For every moment of the time so far, how late something due then came to be done.
    public var delays: LatencyHistogram { sampler.delays }

    /// Ends the sampling; what was found stays. Idempotent.
    public func close() {
        timer?.close()
        timer = nil
    }
}

@available(*, unavailable)
extension OwnDelay: Sendable {}
