/// Counts by names that peers chose, as labels that peers cannot multiply.
///
/// Every label is a time series in whoever scrapes it, for as long as that keeps anything: the
/// first ``limit`` names have their own, all further ones share ``rest``. Which those are never
/// changes, so that no count falls from one reading to the next.
public struct LabelledCounts {
    /// So many names have a label of their own.
    public static let limit = 100
    /// The label of all others; a peer of this name is counted among them.
    public static let rest = "other"

    /// Each label once: a text format with the same series twice is refused whole.
    public private(set) var entries: [(label: String, count: Int)] = []

    /// - Parameters:
    ///   - counts: in an order in which new names come last, such as that in which they were
    ///     first seen. Names that read the same are counted together.
    ///   - limit: see ``limit``.
    public init(
        _ counts: some Sequence<(name: String, count: Int)>, limit: Int = LabelledCounts.limit
    ) {
        var places: [String: Int] = [:]
        for (name, count) in counts {
            let label = places[name] == nil && places.count >= limit ? LabelledCounts.rest : name
            if let place = places[label] {
                entries[place].count += count
            } else {
                places[label] = entries.count
                entries.append((label, count))
            }
        }
    }
}
