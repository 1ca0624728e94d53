/// A small, fast generator whose whole sequence follows from its seed (SplitMix64).
///
/// Everything random in Sonde (order of first probes, jitter, simulated networks) draws from one of
/// these, so that a run can be repeated. Not for secrets.
/// Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
public struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// Any seed will do; equal seeds give equal sequences.
    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// A duration drawn evenly from `range`.
    public mutating func duration(in range: ClosedRange<Duration>) -> Duration {
        .nanoseconds(
            Int64.random(
                in: range.lowerBound.nanoseconds...range.upperBound.nanoseconds, using: &self))
    }
}
