import Pacing

/// By how much a process comes late to what is due, as a share of the time and not of its wake-ups:
/// a pause of a second delays whatever falls into that second, not one event (so does jHiccup).
///
///     event          step
///     nextDeadline   records how late it is, and for every further interval that was slept
///                    through the rest that remained of the pause then
///     the same, idle the same; the next comes after twice as many intervals, of which each counts
///                    as the sample at their end did
public struct DelaySampler: Sendable {
    /// So many samples stand for one pause at most.
    private static let longestPause: Int64 = 10_000
    /// So many intervals lie between two samples at most.
    private static let longestStretch: Int64 = 16

    /// Between two samples.
    public let interval: Duration
    /// When `sample` is to be called.
    public private(set) var nextDeadline: Instant
    /// One value for every interval that has passed.
    public private(set) var delays = LatencyHistogram()
    /// Intervals from the last sample to the next.
    private var stretch: Int64 = 1

    /// - Parameter interval: above zero.
    public init(interval: Duration, now: Instant) {
        precondition(interval > .zero, "samples need a distance")
        self.interval = interval
        nextDeadline = now + interval
    }

    /// What was due at `nextDeadline` happens now; nothing happens before.
    /// - Parameter isIdle: nothing has come for this process since the last sample, that could have
    ///   been late.
    /// - Returns: how late that is; nil before it.
    @discardableResult
    public mutating func sample(now: Instant, isIdle: Bool = false) -> Duration? {
        guard now >= nextDeadline else { return nil }
        let step = interval.nanoseconds
        let late = (now - nextDeadline).nanoseconds
        let missed = late / step
        for index in 0...min(missed, Self.longestPause) {
            delays.record(nanoseconds: late - index * step)
        }
        for _ in 1..<stretch { delays.record(nanoseconds: min(late, step)) }
        stretch = isIdle ? min(stretch * 2, Self.longestStretch) : 1
        nextDeadline = nextDeadline + .nanoseconds((missed + stretch) * step)
        return .nanoseconds(late)
    }
}
