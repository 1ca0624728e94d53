/// What a mark's colour means. The colours themselves are the style sheet's affair: they differ on
/// light and dark ground, and stay apart for people who do not see all colours.
public enum Tint: Hashable, Sendable {
    /// One of several things of the same kind, counted from zero; those past the last colour share
    /// the neutral one.
    case series(Int)
    /// Something went wrong.
    case failure
    /// Everything else: what is folded together, or not known.
    case neutral
    /// The colour of text: for what is neither an instance nor a failure.
    case ink
    /// Paler than text.
    case soft

    /// How many things of the same kind have a colour of their own.
    public static let seriesCount = 6

    /// The class that carries the colour.
    var name: String {
        switch self {
        case .series(let index) where (0..<Self.seriesCount).contains(index): "s\(index)"
        case .series, .neutral: "sn"
        case .failure: "sf"
        case .ink: "ink"
        case .soft: "soft"
        }
    }
}

/// A colour and what it stands for.
public struct Category: Hashable, Sendable {
    /// As in the legend.
    public var name: String
    /// The same thing has the same tint in every chart of a page.
    public var tint: Tint

    /// A name with its tint.
    public init(_ name: String, _ tint: Tint) {
        self.name = name
        self.tint = tint
    }

    /// Tints for names, in their order.
    public static func series(_ names: some Sequence<String>) -> [Category] {
        names.enumerated().map { Category($1, .series($0)) }
    }
}
