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

    /// The latest moment that agrees with both; the true one is not later.
    public let moment: Instant
    /// How much earlier than ``moment`` it may have been.
    public let uncertainty: Duration
    /// Who said so.
    public let source: Source

    /// Asks the kernel; best done early in the program.
    public static func measure() -> ProcessStart {
        let now = Instant(nanoseconds: uv_hrtime())
        let used = max(sonde_processor_nanoseconds(), 0)
        var tick: Int64 = 0
        let oldest = sonde_process_age_nanoseconds(&tick)
        guard oldest >= 0 else {
            return ProcessStart(
                moment: now - .nanoseconds(used), uncertainty: .zero, source: .processorTime)
        }
        let youngest = min(max(oldest - tick, used, 0), oldest)
        return ProcessStart(
            moment: now - .nanoseconds(youngest), uncertainty: .nanoseconds(oldest - youngest),
            source: .kernel)
    }
}

extension EventLoop {
    /// Raises the soft limit of open files to the hard one. The soft one is low for programs that
    /// use `select`, which this one does not.
    public static func raiseDescriptorLimit() { sonde_raise_descriptor_limit() }

    /// The ports from which the kernel chooses the local ones of outgoing connections.
    public static var ephemeralPorts: ClosedRange<UInt16> {
        var lowest: Int32 = 0
        var highest: Int32 = 0
        sonde_ephemeral_ports(&lowest, &highest)
        let low = UInt16(clamping: lowest)
        return low...max(low, UInt16(clamping: highest))
    }
}
