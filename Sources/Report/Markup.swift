/// Writes HTML and SVG. Names are literals and every value is escaped, so that no text from outside
/// can become an element, an attribute or a style.
struct Markup {
    /// Names are literals; values may come from anywhere.
    typealias Attributes = KeyValuePairs<StaticString, String>

    private(set) var bytes: [UInt8] = []
    private var identifiers = 0
    /// Whose names were written out last: charts that follow with the same need not repeat them.
    var listedEvents: [EventMark] = []

    /// An element with an end tag, which HTML and SVG both understand.
    mutating func element(
        _ name: StaticString, _ attributes: Attributes = [:],
        _ content: (inout Markup) -> Void = { _ in }
    ) {
        begin(name, attributes)
        content(&self)
        raw("</")
        raw(name)
        raw(">")
    }

    /// An element that holds nothing but text.
    mutating func element(_ name: StaticString, _ attributes: Attributes = [:], text: String) {
        element(name, attributes) { $0.text(text) }
    }

    /// One of HTML's elements that have no end tag.
    mutating func void(_ name: StaticString, _ attributes: Attributes = [:]) {
        begin(name, attributes)
    }

    /// Text between tags.
    mutating func text(_ text: String) {
        for scalar in text.unicodeScalars { append(scalar) }
    }

    /// Our own literals, as they are.
    mutating func raw(_ literal: StaticString) {
        literal.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    /// The style sheet, the only text that is not escaped; it contains nothing from outside.
    mutating func style(_ css: String) {
        raw("<style>")
        bytes.append(contentsOf: css.utf8)
        raw("</style>")
    }

    mutating func newline() { bytes.append(UInt8(ascii: "\n")) }

    /// A name that no other element of this page has.
    mutating func identifier(_ prefix: String) -> String {
        identifiers += 1
        return "\(prefix)\(identifiers)"
    }

    private mutating func begin(_ name: StaticString, _ attributes: Attributes) {
        raw("<")
        raw(name)
        for (key, value) in attributes {
            raw(" ")
            raw(key)
            raw("=\"")
            text(value)
            raw("\"")
        }
        raw(">")
    }

    /// Control characters are not allowed in HTML, escaped or not; a replacement stands for them.
    private mutating func append(_ scalar: Unicode.Scalar) {
        switch scalar {
        case "&": raw("&amp;")
        case "<": raw("&lt;")
        case ">": raw("&gt;")
        case "\"": raw("&quot;")
        case "'": raw("&#39;")
        case "\t", "\n": bytes.append(UInt8(truncatingIfNeeded: scalar.value))
        case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}": raw("\u{FFFD}")
        default: bytes.append(contentsOf: UTF8.encode(scalar).map(Array.init) ?? [])
        }
    }
}
