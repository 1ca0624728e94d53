import Telemetry

/// One quantity that an instrument finds: declared once, and read by every form of a result.
public struct Figure: Sendable {
    /// Its name in documents, thresholds and CSV: lower case, the unit last (`delayms`).
    public let key: String
    /// Its name for people, without the unit.
    public let title: String
    /// What it is counted in.
    public let unit: Unit
    /// One sentence: what it says, and since when or of what.
    public let help: String
    /// How those of several runs become one.
    public let merging: Merging
    /// Whether it comes with the bounds between which the truth lies.
    public let hasBounds: Bool
    /// Its family in the Prometheus text; nil where it is not exported.
    public let metric: StaticString?

    /// A declaration; see the properties.
    public init(
        _ key: String, _ title: String, _ unit: Unit = .count, merging: Merging,
        hasBounds: Bool = false, metric: StaticString? = nil, help: String
    ) {
        self.key = key
        self.title = title
        self.unit = unit
        self.help = help
        self.merging = merging
        self.hasBounds = hasBounds
        self.metric = metric
    }

    /// What a figure is counted in.
    public enum Unit: String, Sendable {
        /// Things; whole.
        case count = ""
        /// Lengths of time.
        case milliseconds = "ms"
        case seconds = "s"
        case bytes = "B"
        /// Things a second.
        case perSecond = "/s"
        /// Of a whole, 0 to 1.
        case share = "of 1"
        /// A point in civil time (RFC 3339).
        case moment = "time"
        /// Words.
        case text = "text"
        /// Whether something is so.
        case flag = "yes/no"
    }

    /// How the figures of several runs become one. Unknown in one run is unknown in all.
    public enum Merging: Equatable, Sendable {
        case sum, smallest, largest
        /// Runs that differ are not about the same thing, and are refused.
        case same
        /// What all agree on, else unknown.
        case agreed
        /// Computed anew: a count over the time in which at least one of the runs went on. So what
        /// ran side by side adds up, and what ran one after the other does not.
        case rate(of: String)
        /// Computed anew: one figure over another, unknown where that is zero.
        case ratio(of: String, to: String)
        /// Of one run only; left out of what is merged, and named.
        case single
    }
}

/// A value of a figure; unknown is a value of its own, never zero.
public struct Measure: Equatable, Sendable {
    /// What kind of value a unit goes with.
    public enum Value: Equatable, Sendable {
        case integer(Int64)
        case number(Double)
        case moment(WallClock)
        case text(String)
        case flag(Bool)

        /// Either kind of number; a moment in nanoseconds since 1970; nil for other values.
        public var double: Double? {
            switch self {
            case .integer(let value): Double(value)
            case .number(let value): value
            case .moment(let moment): Double(moment.nanosecondsSinceEpoch)
            case .text, .flag: nil
            }
        }
    }

    /// Nil where it is not known.
    public var value: Value?
    /// The truth is not below this; nil where no such bound is known.
    public var least: Value?
    /// The truth is not above this; nil where no such bound is known.
    public var most: Value?

    /// A value, and for a figure with bounds what is known of them.
    public init(_ value: Value?, least: Value? = nil, most: Value? = nil) {
        self.value = value
        self.least = least
        self.most = most
    }

    /// Not known.
    public static let unknown = Measure(nil)
    /// A whole number.
    public static func integer(_ value: some FixedWidthInteger) -> Measure {
        Measure(.integer(Int64(clamping: value)))
    }
    /// A number; one that is not finite is not known.
    public static func number(_ value: Double?) -> Measure {
        Measure(value.flatMap { $0.isFinite ? .number($0) : nil })
    }
    /// A length of time, in milliseconds.
    public static func milliseconds(_ duration: Duration?) -> Measure {
        Measure(duration.map { .number($0.inMilliseconds) })
    }
    /// A point in civil time.
    public static func moment(_ moment: WallClock?) -> Measure {
        Measure(moment.map { .moment($0) })
    }
    /// Words.
    public static func text(_ text: String?) -> Measure { Measure(text.map { .text($0) }) }
    /// Whether something is so.
    public static func flag(_ flag: Bool?) -> Measure { Measure(flag.map { .flag($0) }) }
}
