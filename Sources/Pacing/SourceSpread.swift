/// Divides connections evenly over source addresses, none of which gets more than its share.
///
/// Each connection comes from the source that has the fewest: the kernel's search for a free port
/// falls off a cliff at some ten thousand connections from one source to one target, and no source
/// should reach that before the others.
public struct SourceSpread: Sendable {
    private struct Source: Sendable {
        var connections = 0
        var isExhausted = false
    }

    private var sources: [Source]
    private let limit: Int

    /// - Parameters:
    ///   - count: how many sources there are; 0 counts as one without limit, the kernel's choice.
    ///   - perSource: connections at once from one source.
    public init(count: Int, perSource: Int) {
        sources = Array(repeating: Source(), count: max(count, 1))
        limit = count > 0 ? perSource : .max
    }

    /// Whether ``take()`` would find one.
    public var hasRoom: Bool {
        sources.contains { !$0.isExhausted && $0.connections < limit }
    }

    /// Whether a source is below its share, be it out of ports or not.
    public var isBelowLimit: Bool { sources.contains { $0.connections < limit } }

    /// A place at the source that has the fewest connections; nil where all are full.
    public mutating func take() -> Int? {
        var best: Int?
        for (index, source) in sources.enumerated()
        where !source.isExhausted && source.connections < limit {
            if let best, sources[best].connections <= source.connections { continue }
            best = index
        }
        if let best { sources[best].connections += 1 }
        return best
    }

    /// A dial from this source came to nothing: its place is free again.
    ///
    /// - Parameter outOfPorts: the kernel had no port for it; it is passed over until one of its
    ///   connections closes.
    public mutating func dialFailed(_ source: Int, outOfPorts: Bool) {
        guard sources.indices.contains(source), sources[source].connections > 0 else { return }
        sources[source].connections -= 1
        if outOfPorts { sources[source].isExhausted = true }
    }

    /// Sources without ports and without connections may be tried again: no close will tell when
    /// others of this machine have given their ports back.
    public mutating func retryUnused() {
        for index in sources.indices where sources[index].connections == 0 {
            sources[index].isExhausted = false
        }
    }

    /// A connection from this source has closed: its place and its port are free again.
    public mutating func closed(_ source: Int) {
        guard sources.indices.contains(source), sources[source].connections > 0 else { return }
        sources[source].connections -= 1
        sources[source].isExhausted = false
    }
}
