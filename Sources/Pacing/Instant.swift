/// A point on the loop's monotonic clock, in nanoseconds. Never a wall-clock time.
///
/// Machines receive it as `now` and never read a clock themselves. Its zero is arbitrary (on Linux
/// the boot of the machine), so only differences and order mean anything.
public struct Instant: Comparable, Hashable, Sendable {
    /// Nanoseconds since the clock's zero.
    public var nanoseconds: UInt64

    /// The moment that many nanoseconds after the clock's zero.
    @inlinable
    public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    @inlinable
    public static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }

    /// Saturates at the clock's zero and at its end, so that "now + forever" stays in order.
    @inlinable
    public static func + (a: Instant, d: Duration) -> Instant {
        let delta = d.nanoseconds
        if delta >= 0 {
            let (sum, overflow) = a.nanoseconds.addingReportingOverflow(UInt64(delta))
            return Instant(nanoseconds: overflow ? .max : sum)
        }
        let back = delta.magnitude
        return Instant(nanoseconds: back > a.nanoseconds ? 0 : a.nanoseconds - back)
    }

    @inlinable
    public static func - (a: Instant, d: Duration) -> Instant {
        a + .nanoseconds(-d.nanoseconds)
    }

    /// The time from `b` to `a`; negative when `a` is the earlier one.
    @inlinable
    public static func - (a: Instant, b: Instant) -> Duration {
        Duration(wholeNanoseconds: Int64(bitPattern: a.nanoseconds &- b.nanoseconds))
    }

    @inlinable
    public static func += (a: inout Instant, d: Duration) { a = a + d }
}

extension Duration {
    /// The whole nanoseconds of this duration, limited to ±292 years.
    @inlinable
    public var nanoseconds: Int64 {
        // Up to 18 s one division of words; `components` divides 128 bits, some 70 instructions.
        if let small = UInt64(exactly: attoseconds) { return Int64(small / 1_000_000_000) }
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds < 0 ? -.max : .max }
        let (sum, carried) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        return carried ? (seconds < 0 ? -.max : .max) : sum
    }

    /// What `.nanoseconds(_:)` makes, without its multiplication of 128 bits by 128.
    @inlinable
    init(wholeNanoseconds nanoseconds: Int64) {
        self.init(attoseconds: Int128(nanoseconds) &* 1_000_000_000)
    }

    /// This duration in milliseconds, with its fraction.
    @inlinable
    public var inMilliseconds: Double { Double(nanoseconds) / 1e6 }

    /// This duration in seconds, with its fraction.
    @inlinable
    public var inSeconds: Double { Double(nanoseconds) / 1e9 }
}
