/// Reads a document from a buffer, pulled token by token by the code that knows what it wants.
///
/// Strict RFC 8259, UTF-8 only, no byte-order mark. Nothing is copied and nothing is allocated:
/// strings and numbers are borrowed from the buffer, which must outlive them and the reader.
///
///     var json = JSONReader(bytes)
///     try json.beginObject()
///     while let key = try json.nextKey() {
///         if key.matches("port") { port = try json.readInteger() } else { try json.skipValue() }
///     }
///     try json.endDocument()
///
/// After `nextKey` or `nextElement` said that there is something, exactly one value must be taken:
/// read, skipped, or begun and walked to its end.
public struct JSONReader {
    private let bytes: UnsafeRawBufferPointer
    private let base: UnsafeRawPointer
    /// The next byte to be read, counted from the start of the document.
    public private(set) var offset = 0
    /// Where the value read last began: the place to blame when its content is not acceptable.
    public private(set) var valueOffset = 0
    private var depth = 0
    private var isFirst = false
    private let depthLimit: Int

    /// - Parameters:
    ///   - bytes: the whole document; borrowed.
    ///   - depthLimit: how many containers may be open inside one another.
    public init(_ bytes: UnsafeRawBufferPointer, depthLimit: Int = 64) {
        self.bytes = bytes
        // Only ever read below `bytes.count`; an empty buffer may have no address at all.
        base = bytes.baseAddress ?? UnsafeRawPointer(("" as StaticString).utf8Start)
        self.depthLimit = depthLimit
    }

    // MARK: Looking ahead

    /// What the next value is, judged by its first byte.
    public mutating func peek() throws(JSONError) -> JSONKind {
        guard let byte = nextByte(), let kind = JSONKind(firstByte: byte) else {
            throw fail(.value)
        }
        return kind
    }

    /// Takes a `null` if the next value is one.
    public mutating func readNullIfPresent() throws(JSONError) -> Bool {
        guard nextByte() == UInt8(ascii: "n") else { return false }
        try readNull()
        return true
    }

    // MARK: Containers

    /// Enters an array; ``nextElement()`` then says whether an element follows.
    ///
    /// - Throws: when the next value is of another kind, or nested deeper than the limit.
    public mutating func beginArray() throws(JSONError) {
        try begin(UInt8(ascii: "["), "an array")
    }

    /// True: an element follows. False: the array has ended.
    public mutating func nextElement() throws(JSONError) -> Bool {
        let byte = nextByte()
        if byte == UInt8(ascii: "]") {
            end()
            return false
        }
        if isFirst {
            isFirst = false
            guard let byte, JSONKind(firstByte: byte) != nil else { throw fail(.valueOrEnd) }
            return true
        }
        guard byte == UInt8(ascii: ",") else { throw fail(.elementEnd) }
        offset &+= 1
        guard let byte = nextByte(), JSONKind(firstByte: byte) != nil else { throw fail(.value) }
        return true
    }

    /// Enters an object; ``nextKey()`` then gives the members one by one.
    ///
    /// - Throws: when the next value is of another kind, or nested deeper than the limit.
    public mutating func beginObject() throws(JSONError) {
        try begin(UInt8(ascii: "{"), "an object")
    }

    /// The next member's key, its value being next; nil when the object has ended. Equal keys come
    /// as often as they are written.
    public mutating func nextKey() throws(JSONError) -> JSONText? {
        var byte = nextByte()
        if byte == UInt8(ascii: "}") {
            end()
            return nil
        }
        if isFirst {
            isFirst = false
            guard byte == quote else { throw fail(.keyOrEnd) }
        } else {
            guard byte == UInt8(ascii: ",") else { throw fail(.memberEnd) }
            offset &+= 1
            byte = nextByte()
            guard byte == quote else { throw fail(.key) }
        }
        let key = try readText()
        guard nextByte() == UInt8(ascii: ":") else { throw fail(.colon) }
        offset &+= 1
        return key
    }

    // MARK: Values

    /// A string, checked but not decoded (RFC 8259 section 7): bad escapes, control characters and
    /// bytes that are not UTF-8 are refused.
    public mutating func readString() throws(JSONError) -> JSONText {
        guard nextByte() == quote else { throw mismatch("a string") }
        return try readText()
    }

    /// A number as it is written; its value by `JSONNumber.integer` or `.double`.
    public mutating func readNumber() throws(JSONError) -> JSONNumber {
        try readNumber(expected: "a number")
    }

    /// A number without fraction and exponent that fits 64 bits; never goes through `Double`.
    public mutating func readInteger() throws(JSONError) -> Int64 {
        let number = try readNumber(expected: "an integer")
        guard number.isInteger else {
            throw error(expected: "an integer without fraction or exponent")
        }
        guard let value = number.integer else {
            throw error(expected: "an integer from \(Int64.min) to \(Int64.max)")
        }
        return value
    }

    /// Any number, correctly rounded; refused when it is too large for a `Double`.
    public mutating func readDouble() throws(JSONError) -> Double {
        guard let value = try readNumber().double else {
            throw error(expected: "a number of at most \(Double.greatestFiniteMagnitude)")
        }
        return value
    }

    /// `true` or `false`; nothing else counts as either.
    public mutating func readBool() throws(JSONError) -> Bool {
        let byte = nextByte()
        guard byte == UInt8(ascii: "t") || byte == UInt8(ascii: "f") else {
            throw mismatch("true or false")
        }
        let literal: Literal = byte == UInt8(ascii: "t") ? .true : .false
        try read(literal)
        return literal == .true
    }

    /// `null`, which must be next.
    public mutating func readNull() throws(JSONError) {
        guard nextByte() == UInt8(ascii: "n") else { throw mismatch("null") }
        try read(.null)
    }

    /// Checks the next value to its end, whatever it is, and returns its bytes as they are written,
    /// ready to be spliced into another document.
    @discardableResult
    public mutating func skipValue() throws(JSONError) -> UnsafeRawBufferPointer {
        _ = nextByte()
        valueOffset = offset
        var scanner = ValueScanner(depthLimit: depthLimit - depth)
        var position = offset
        switch scanner.scan(base, &position, bytes.count) {
        case .ended: break
        case .failed(let expected, let at): throw fail(expected, at: at)
        case .more:
            if let expected = scanner.finish() { throw fail(expected, at: bytes.count) }
        }
        let value = slice(offset, position)
        offset = position
        return value
    }

    /// Makes sure that nothing but white space is left.
    public mutating func endDocument() throws(JSONError) {
        guard nextByte() == nil else { throw fail(.endOfDocument) }
    }

    // MARK: Errors

    /// An error about the content of the value read last (or of what stands at `offset`), worded
    /// like the reader's own.
    public func error(expected: String, at offset: Int? = nil) -> JSONError {
        let offset = offset ?? valueOffset
        return JSONError(
            offset: offset, expected: expected, found: JSONPath.snippet(bytes, at: offset),
            path: JSONPath.text(bytes, upTo: offset))
    }

    private func fail(_ expected: Expectation, at place: Int? = nil) -> JSONError {
        let place = place ?? offset
        return JSONError(
            offset: place, expected: expected.text(depthLimit: depthLimit),
            found: describe(place < bytes.count ? bytes[place] : nil),
            path: JSONPath.text(bytes, upTo: place))
    }

    private func mismatch(_ expected: String) -> JSONError {
        let byte = offset < bytes.count ? bytes[offset] : nil
        let kind = byte.flatMap { JSONKind(firstByte: $0) }
        return JSONError(
            offset: offset, expected: expected, found: kind?.words ?? describe(byte),
            path: JSONPath.text(bytes, upTo: offset))
    }

    // MARK: Steps

    /// Moves over white space and looks at the byte after it; nil at the end.
    @inline(__always)
    private mutating func nextByte() -> UInt8? {
        while offset < bytes.count {
            let byte = base.load(fromByteOffset: offset, as: UInt8.self)
            if !isWhitespace(byte) { return byte }
            offset &+= 1
        }
        return nil
    }

    private mutating func begin(_ bracket: UInt8, _ name: String) throws(JSONError) {
        guard nextByte() == bracket else { throw mismatch(name) }
        guard depth < depthLimit else { throw fail(.lessDepth) }
        valueOffset = offset
        depth += 1
        offset += 1
        isFirst = true
    }

    private mutating func end() {
        depth = max(0, depth - 1)
        offset &+= 1
        isFirst = false  // of the container around it, which has this one as an element
    }

    /// Reads a string whose opening quote is the next byte.
    private mutating func readText() throws(JSONError) -> JSONText {
        valueOffset = offset
        var scanner = StringScanner()
        var position = offset &+ 1
        switch scanner.scan(base, &position, bytes.count) {
        case .ended: break
        case .failed(let expected, let at): throw fail(expected, at: at)
        case .more: throw fail(scanner.pending, at: bytes.count)
        }
        let text = slice(offset &+ 1, position &- 1)
        offset = position
        return JSONText(raw: text, hasEscapes: scanner.hasEscapes)
    }

    private mutating func readNumber(expected: String) throws(JSONError) -> JSONNumber {
        guard let byte = nextByte(), byte == UInt8(ascii: "-") || byte &- 0x30 <= 9 else {
            throw mismatch(expected)
        }
        valueOffset = offset
        var scanner = NumberScanner()
        var position = offset
        if case .failed(let expected, let at) = scanner.scan(base, &position, bytes.count) {
            throw fail(expected, at: at)
        }
        guard scanner.isComplete else { throw fail(.digit, at: bytes.count) }
        let number = JSONNumber(raw: slice(offset, position), isInteger: scanner.isInteger)
        offset = position
        return number
    }

    private mutating func read(_ literal: Literal) throws(JSONError) {
        valueOffset = offset
        var (index, position) = (0, offset)
        switch literal.scan(&index, base, &position, bytes.count) {
        case .ended: offset = position
        default: throw fail(literal.expectation, at: position)
        }
    }

    private func slice(_ start: Int, _ end: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base + start, count: end - start)
    }
}

/// The six kinds of value.
public enum JSONKind: UInt8, Sendable {
    case object, array, string, number, bool, null

    @inline(__always)
    init?(firstByte byte: UInt8) {
        switch byte {
        case UInt8(ascii: "{"): self = .object
        case UInt8(ascii: "["): self = .array
        case quote: self = .string
        case UInt8(ascii: "-"), 0x30...0x39: self = .number
        case UInt8(ascii: "t"), UInt8(ascii: "f"): self = .bool
        case UInt8(ascii: "n"): self = .null
        default: return nil
        }
    }

    /// With its article, for messages.
    public var words: String {
        switch self {
        case .object: "an object"
        case .array: "an array"
        case .string: "a string"
        case .number: "a number"
        case .bool: "a truth value"
        case .null: "null"
        }
    }
}
