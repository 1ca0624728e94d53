/// What the members of one kind of result document mean when several of them become one.
///
/// A capability that writes results of several pods declares a table; ``ResultMerge`` follows it.
public struct ResultTable: Sendable {
    /// The value of the documents' member `kind`.
    public let kind: String
    /// In the order in which the merged document has them.
    public let members: [Member]
    /// What ``ResultMerge/text`` shows of every document, and of all.
    public let columns: [Column]
    /// The array whose counts it lists; nil for none.
    public let shares: Shares?

    /// A table; see the properties.
    public init(kind: String, members: [Member], columns: [Column], shares: Shares? = nil) {
        self.kind = kind
        self.members = members
        self.columns = columns
        self.shares = shares
    }

    /// A member of the documents, and how it is merged.
    public struct Member: Sendable {
        let name: String
        let rule: Rule

        /// `name` is its key.
        public init(_ name: String, _ rule: Rule) {
            self.name = name
            self.rule = rule
        }
    }

    /// How one member of several documents becomes one. Every document must have the member, but
    /// for those with the last three rules.
    public indirect enum Rule: Sendable {
        /// Numbers are added; `null` in one makes it `null`.
        case sum
        /// The largest number; `null` in one makes it `null`.
        case largest
        /// All documents must agree, else they are not about the same thing.
        case same
        /// The value on which all agree, else `null`.
        case agreed
        /// An object of counts, added by key.
        case sums
        /// An object with the member `histogram`, by which all its other members are computed
        /// anew; ``Statistic`` says how.
        case histogram([(name: String, Statistic)])
        /// An array of objects, of which those with the same value of `key` become one.
        case keyed(by: String, [Member])
        /// Computed anew: by how much a count's largest value exceeds its fair share (a member of
        /// the same objects, 0 to 1), within an array.
        case imbalance(array: String, count: String, fair: String)
        /// Computed anew: Jain's index of the counts in an array, each against its fair share.
        case jainIndex(array: String, count: String, fair: String)
        /// Inside ``keyed(by:_:)``, computed anew: a count over the sum of all.
        case share(of: String)
    }

    /// What is computed from a histogram; lengths of time in milliseconds, `null` when it is empty.
    public enum Statistic: Sendable {
        case count, mean, maximum, relativeError
        /// 0 to 100.
        case percentile(Double)
    }

    /// A column of ``ResultMerge/text``.
    public struct Column: Sendable {
        let title: String
        let path: [String]

        /// - Parameter path: the keys that lead to the number, such as `["latencyms", "p50"]`.
        public init(_ title: String, _ path: String...) {
            self.title = title
            self.path = path
        }
    }

    /// Names an array of objects with a name and a count each.
    public struct Shares: Sendable {
        let array: String
        let key: String
        let count: String

        /// The array's key, and those of name and count in its objects.
        public init(array: String, key: String, count: String) {
            self.array = array
            self.key = key
            self.count = count
        }
    }
}
