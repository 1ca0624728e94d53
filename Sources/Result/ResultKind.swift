/// What the results of one kind of run consist of: an instrument declares it once, and reader,
/// writer, merge, tables, thresholds and the JSON schema follow it.
public struct ResultKind: Equatable, Sendable {
    /// The value of the documents' member `kind`: `egw-client`.
    public let name: String
    /// For people: what was measured.
    public let title: String
    /// In the order in which they are shown.
    public let figures: [Figure]
    /// Figures told apart by what they belong to.
    public let breakdowns: [Breakdown]
    /// Lengths of time of which every one was recorded.
    public let distributions: [Distribution]

    /// A declaration; see the properties. Every key stands in it once.
    public init(
        name: String, title: String, figures: [Figure], breakdowns: [Breakdown] = [],
        distributions: [Distribution] = []
    ) {
        self.name = name
        self.title = title
        self.figures = figures
        self.breakdowns = breakdowns
        self.distributions = distributions
        let keys = figures.map(\.key) + breakdowns.map(\.key) + distributions.map(\.key)
        precondition(Set(keys).count == keys.count, "a key of \(name) is declared twice")
    }

    /// A table: some figures for each of many things of a sort.
    public struct Breakdown: Sendable {
        /// Its name in documents: `misses`.
        public let key: String
        /// Its name for people.
        public let title: String
        /// What its rows are, also the key of their names: `kind`, `pod`, `address`.
        public let label: StaticString
        /// One sentence.
        public let help: String
        /// The figures of a row; rows with the same name become one when results are merged.
        public let columns: [Figure]

        /// A declaration; see the properties.
        public init(
            _ key: String, _ title: String, by label: StaticString, _ columns: [Figure],
            help: String
        ) {
            self.key = key
            self.title = title
            self.label = label
            self.help = help
            self.columns = columns
        }
    }

    /// Lengths of time, merged bucket by bucket.
    public struct Distribution: Sendable {
        /// Its name in documents: `latency`.
        public let key: String
        /// Its name for people.
        public let title: String
        /// One sentence: from what to what, and of which.
        public let help: String

        /// A declaration; see the properties.
        public init(_ key: String, _ title: String, help: String) {
            self.key = key
            self.title = title
            self.help = help
        }
    }

    func figure(_ key: String) -> Figure? { figures.first { $0.key == key } }
    func breakdown(_ key: String) -> Breakdown? { breakdowns.first { $0.key == key } }
    func distribution(_ key: String) -> Distribution? { distributions.first { $0.key == key } }

    public static func == (a: ResultKind, b: ResultKind) -> Bool { a.name == b.name }
}
