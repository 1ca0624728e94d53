import CLibuv
import Pacing

/// When this process was started, on the loop's clock.
///
/// The kernel says so in ticks of 10 ms. The processor time that the process has used since narrows
/// that down: it cannot have started later than that long ago, and what it did between its start
/// and the first lines of the program was mostly to use the processor.
public struct ProcessStart: Sendable {
    /// Who said so.
    public enum Source: String, Sendable {
        case kernel
        /// The kernel did not say: when ``measure()`` was called, less the processor time used.
        case processorTime = "processor-time"
    }

    /// The best guess: ``latest`` where the processor time says more than the tick, else the
    /// middle of the two.
    public let moment: Instant
    /// It was not started before this.
    public let earliest: Instant
    /// It was not started after this.
    public let latest: Instant
    /// Who said so.
    public let source: Source

    /// Asks the kernel; best done early in the program.
    public static func measure() -> ProcessStart {
        let now = Instant(nanoseconds: uv_hrtime())
        let used = max(sonde_processor_nanoseconds(), 0)
        var tick: Int64 = 0
        let age = sonde_process_age_nanoseconds(&tick)
        guard age >= 0 else {
            let moment = now - .nanoseconds(used)
            return ProcessStart(
                moment: moment, earliest: moment, latest: moment, source: .processorTime)
        }
        let isNarrowed = used >= age - tick
        let youngest = min(max(isNarrowed ? used : age - tick, 0), age)
        let best = isNarrowed ? youngest : youngest + (age - youngest) / 2
        return ProcessStart(
            moment: now - .nanoseconds(best), earliest: now - .nanoseconds(age),
            latest: now - .nanoseconds(youngest), source: .kernel)
    }

    /// How far ``earliest`` and ``latest`` are apart.
    public var uncertainty: Duration { latest - earliest }
}

extension EventLoop {
    /// Raises the soft limit of open files to the hard one. The soft one is low for programs that
    /// use `select`, which this one does not.
    public static func raiseDescriptorLimit() { sonde_raise_descriptor_limit() }

    /// Processor time that this process has used so far, all threads together.
    public static var processorTime: Duration {
        .nanoseconds(max(sonde_processor_nanoseconds(), 0))
    }

    /// The ports from which the kernel chooses the local ones of outgoing connections.
    public static var ephemeralPorts: ClosedRange<UInt16> {
        var lowest: Int32 = 0
        var highest: Int32 = 0
        sonde_ephemeral_ports(&lowest, &highest)
        let low = UInt16(clamping: lowest)
        return low...max(low, UInt16(clamping: highest))
    }
}
