import JSONCodec
import Logging
import Telemetry

/// What a document names that nothing can be connected to: such entries are passed over, and said.
///
/// An orchestrator writes down whatever address a pod has at that moment, none included. One such
/// pod must not cost the others their measurement, nor go unseen.
public struct SkippedEntries: Sendable, Equatable {
    /// What is wrong.
    public enum Kind: String, Sendable, CaseIterable {
        /// The name of a client, which is no IP address. Its whole list is passed over.
        case client
        /// Neither an IP address nor a host name.
        case address
        /// Not from 1 to 65535.
        case port
    }

    /// One of them, and where it stands.
    public struct Entry: Sendable, Equatable, CustomStringConvertible {
        /// What is wrong.
        public var kind: Kind
        /// As written; what is long is cut.
        public var value: String
        /// Whose list it stands in; nil where the document is one list.
        public var client: String?
        /// The index of its entry in the list; nil for a client's name.
        public var index: Int?
        /// The name of the entry's policy; nil for a client's name.
        public var policy: String?

        /// For a person, in one line whatever the document contains.
        public var description: String {
            let place = [
                client.map { "client \($0)" }, index.map { "entry \($0)" },
                policy.map { "policy \($0.debugDescription)" },
            ].compactMap { $0 }.joined(separator: ", ")
            return "\(kind.rawValue) \(value.debugDescription)"
                + (place.isEmpty ? "" : " (\(place))")
        }
    }

    /// How many there are of each kind; kinds without any are left out.
    public private(set) var counts: [Kind: Int] = [:]
    /// The first hundred, in the document's order: enough to see what is wrong.
    public private(set) var listed: [Entry] = []

    private static let listedEntries = 100
    /// In bytes of UTF-8.
    private static let valueLength = 64

    /// None.
    public init() {}

    /// How many there are in all.
    public var total: Int { counts.values.reduce(0, +) }

    mutating func add(
        _ kind: Kind, _ value: String, client: String? = nil, index: Int? = nil,
        policy: String? = nil
    ) {
        counts[kind, default: 0] += 1
        guard listed.count < SkippedEntries.listedEntries else { return }
        listed.append(
            Entry(
                kind: kind, value: SkippedEntries.cut(value), client: client, index: index,
                policy: policy))
    }

    private static func cut(_ text: String) -> String {
        guard text.utf8.count > valueLength else { return text }
        var end = text.utf8.index(text.startIndex, offsetBy: valueLength)
        while end.samePosition(in: text.unicodeScalars) == nil {
            end = text.utf8.index(before: end)
        }
        return text[..<end] + "…"
    }

    /// Takes over those of one entry of a list, which were found before its policy was known.
    mutating func add(_ other: SkippedEntries, client: String?, index: Int, policy: String) {
        count(other)
        let policy = SkippedEntries.cut(policy)
        for entry in other.listed.prefix(SkippedEntries.listedEntries - listed.count) {
            listed.append(
                Entry(
                    kind: entry.kind, value: entry.value, client: client, index: index,
                    policy: policy))
        }
    }

    /// Adds the numbers alone: of the document after this one.
    mutating func count(_ other: SkippedEntries) { counts.merge(other.counts, uniquingKeysWith: +) }

    /// One line each, and one for those that are not listed.
    func log(to logger: Logger) {
        for entry in listed {
            logger.warning("Skipped \(entry): nothing can be connected to there")
        }
        if total > listed.count { logger.warning("Skipped \(total - listed.count) more") }
    }

    /// The members `skipped` and `skippedEntries` of a status object.
    func writeStatus(to json: inout JSONWriter) {
        json.member("skipped", integer: total)
        json.key("skippedEntries")
        json.beginArray()
        for entry in listed {
            json.beginObject()
            json.member("kind", string: entry.kind.rawValue)
            json.member("value", string: entry.value)
            if let client = entry.client { json.member("client", string: client) }
            if let index = entry.index { json.member("connectionidx", integer: index) }
            if let policy = entry.policy { json.member("npname", string: policy) }
            json.endObject()
        }
        json.endArray()
    }

    func writeMetrics(to text: inout PrometheusText) {
        text.family(
            "sonde_netpol_skipped_entries_total", .counter,
            help: "Names, addresses and ports of documents that nothing can be connected to.")
        for kind in Kind.allCases { text.sample(counts[kind] ?? 0, [("kind", kind.rawValue)]) }
    }
}
