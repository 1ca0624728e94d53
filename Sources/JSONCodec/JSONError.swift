/// Why a document was refused: where, what was expected there, and what stood there instead.
public struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The byte, counted from the start of the document, at which it stopped being acceptable.
    /// Equal to the document's length when it ended too early.
    public var offset: Int
    /// What would have been accepted at `offset`, as a phrase: "a port from 1 to 65535".
    public var expected: String
    /// What is there instead: a byte, a kind of value, or the value itself.
    public var found: String
    /// The place in the document's own terms, such as `$[3].ports[0]`; empty where the bytes before
    /// `offset` are no longer at hand (`JSONStreamValidator`).
    public var path: String

    /// - Parameter path: empty where the place is not known in the document's own terms.
    public init(offset: Int, expected: String, found: String, path: String = "") {
        self.offset = offset
        self.expected = expected
        self.found = found
        self.path = path
    }

    /// One line, for a person: `byte 17 ($[0].ports[0]): expected a port …, found 99999`.
    public var description: String {
        let place = path.isEmpty ? "" : " (\(path))"
        return "byte \(offset)\(place): expected \(expected), found \(found)"
    }
}

/// What the grammar would have accepted. One byte inside the scanners; words only in an error.
enum Expectation: UInt8, Sendable {
    case value, valueOrEnd, elementEnd
    case key, keyOrEnd, colon, memberEnd
    case endOfDocument, lessDepth
    case literalTrue, literalFalse, literalNull
    case digit
    case closingQuote, escapedControl, escape, hexDigit, lowSurrogate, noLowSurrogate
    case wellFormedUTF8, continuationByte

    func text(depthLimit: Int) -> String {
        switch self {
        case .value: "a value"
        case .valueOrEnd: "a value or ']'"
        case .elementEnd: "',' or ']'"
        case .key: "a key in quotes"
        case .keyOrEnd: "a key in quotes or '}'"
        case .colon: "':'"
        case .memberEnd: "',' or '}'"
        case .endOfDocument: "the end of the document"
        case .lessDepth: "at most \(depthLimit) levels of nesting"
        case .literalTrue: "true"
        case .literalFalse: "false"
        case .literalNull: "null"
        case .digit: "a digit"
        case .closingQuote: "the string's closing quote"
        case .escapedControl: "control characters in strings to be escaped"
        case .escape: "one of \" \\ / b f n r t u after the backslash"
        case .hexDigit: "a hexadecimal digit"
        case .lowSurrogate: "the escape of a low surrogate after that of a high one"
        case .noLowSurrogate: "the escape of a high surrogate before that of a low one"
        case .wellFormedUTF8: "well-formed UTF-8"
        case .continuationByte: "the next byte of a UTF-8 sequence"
        }
    }
}

/// How far a scanner came with the bytes it was given.
enum ScanOutcome: Equatable {
    /// The token is complete.
    case ended
    /// All bytes were consumed; the token goes on in the next ones.
    case more
    /// The byte at `offset` (in the scanner's own counting) cannot stand there.
    case failed(Expectation, offset: Int)
}

/// The words for one byte in an error.
func describe(_ byte: UInt8?) -> String {
    guard let byte else { return "the end of the document" }
    if byte > 0x20, byte < 0x7F { return "'\(Character(Unicode.Scalar(byte)))'" }
    if byte == 0x20 { return "a space" }
    let digits = String(byte, radix: 16, uppercase: true)
    return "byte 0x\(digits.count < 2 ? "0" : "")\(digits)"
}

/// The four bytes that RFC 8259 section 2 allows between tokens.
@inline(__always)
func isWhitespace(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
}
