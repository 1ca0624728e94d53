import Telemetry

/// Moments of one kind: their number exactly, and their places as finely as a chart can show them.
/// Bounded: the time is cut into at most ``limit`` steps of equal length, which doubles when the
/// last one is passed.
public struct MomentSet: Sendable {
    /// No more steps than this.
    public static let limit = 2048
    /// The length of the first steps, in nanoseconds: 0.5 ms.
    static let firstStepNanoseconds: Int64 = 500_000

    /// How many there were.
    public private(set) var count = 0
    /// The length of every step, in nanoseconds; the first begins with the test.
    public private(set) var stepNanoseconds = MomentSet.firstStepNanoseconds
    /// A bit for each step in which there was one; none while there is none.
    private var steps: [UInt64] = []

    init() {}

    /// The middles of all steps in which there was one, in nanoseconds since the start of the test.
    public var moments: [Int64] {
        steps.indices.flatMap { word in
            (0..<64).compactMap { bit in
                guard steps[word] >> UInt64(bit) & 1 == 1 else { return nil }
                return Int64(word * 64 + bit) * stepNanoseconds + stepNanoseconds / 2
            }
        }
    }

    @inline(__always)
    mutating func insert(_ nanoseconds: Int64) {
        count &+= 1
        if steps.isEmpty { steps = Array(repeating: 0, count: Self.limit / 64) }
        var step = max(nanoseconds, 0) / stepNanoseconds
        while step >= Int64(Self.limit) {
            halve()
            step /= 2
        }
        steps[Int(step) / 64] |= 1 << UInt64(step % 64)
    }

    /// Steps of twice the length.
    private mutating func halve() {
        stepNanoseconds *= 2
        for word in steps.indices {
            steps[word] =
                word < steps.count / 2
                ? Self.halved(steps[2 * word]) | Self.halved(steps[2 * word + 1]) << 32 : 0
        }
    }

    /// Each two neighbouring bits as one, in the lower half.
    private static func halved(_ bits: UInt64) -> UInt64 {
        var result: UInt64 = 0
        for bit in 0..<32 as Range<UInt64> where bits >> (2 * bit) & 3 != 0 { result |= 1 << bit }
        return result
    }
}
