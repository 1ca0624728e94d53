import Pacing

/// The local ports of probes, one after the other.
///
/// A probe from a port that was used not long ago may be treated as its predecessor was (connection
/// tracking): its miss then says nothing about now.
struct LocalPorts: Sendable {
    /// How long a gateway may remember a connection that was never established (Linux: 120 s).
    private static let memory = Duration.seconds(150)

    /// Nil leaves the choice to the kernel.
    private let range: ClosedRange<UInt16>?
    private let isLongRound: Bool
    private let first: Int
    private var used = 0

    init(range: ClosedRange<UInt16>?, interval: Duration, seed: UInt64) {
        self.range = range
        // Half of a round's time, as taken ports make it go faster.
        isLongRound = interval * ((range?.count ?? 0) / 2) >= LocalPorts.memory
        var random = SeededRandom(seed: seed)
        first = Int(truncatingIfNeeded: random.next() >> 33)
    }

    /// - Returns: the port, and whether nobody remembers it.
    mutating func next() -> (port: UInt16?, isFresh: Bool) {
        guard let range else { return (nil, true) }
        let port = range.lowerBound + UInt16((first + used) % range.count)
        let isFirstRound = used < range.count
        used += 1
        return (port, isFirstRound || isLongRound)
    }
}
