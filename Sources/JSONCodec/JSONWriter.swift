/// Writes a document into a growing byte buffer. Commas are its own affair; well-formed nesting is
/// the caller's.
///
///     var json = JSONWriter()
///     json.beginObject()
///     json.member("port", integer: 8080)
///     json.endObject()           // json.bytes: {"port":8080}
///
/// For a long document, send off and empty `bytes` now and then: nothing in it is needed again.
public struct JSONWriter {
    /// What has been written so far.
    public var bytes: [UInt8]
    private var needsComma = false
    private let escapesHTML: Bool

    /// - Parameters:
    ///   - capacity: bytes to make room for at once.
    ///   - escapesHTML: also escape `<`, `>`, `&`, U+2028 and U+2029, as Go's encoder does, so that
    ///     the document may stand inside a page.
    public init(capacity: Int = 0, escapesHTML: Bool = false) {
        bytes = []
        bytes.reserveCapacity(capacity)
        self.escapesHTML = escapesHTML
    }

    // MARK: Containers

    /// Opens an object; members follow as ``key(_:)-(String)`` and one value each.
    public mutating func beginObject() { open(UInt8(ascii: "{")) }
    /// Closes the innermost object.
    public mutating func endObject() { close(UInt8(ascii: "}")) }
    /// Opens an array; its elements follow as values.
    public mutating func beginArray() { open(UInt8(ascii: "[")) }
    /// Closes the innermost array.
    public mutating func endArray() { close(UInt8(ascii: "]")) }

    /// A key that is written as it stands: a plain literal without anything to escape.
    public mutating func key(_ key: StaticString) {
        separate()
        key.withUTF8Buffer { key in
            bytes.append(quote)
            bytes.append(contentsOf: key)
        }
        endKey()
    }

    /// A key known only at run time.
    public mutating func key(_ key: String) {
        string(key)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    // MARK: Values

    /// A string, with what RFC 8259 section 7 wants escaped.
    public mutating func string(_ value: String) {
        var value = value
        separate()
        bytes.append(quote)
        value.withUTF8 { appendEscaped(UnsafeRawBufferPointer($0)) }
        bytes.append(quote)
    }

    /// A string given as bytes; what is not UTF-8 becomes U+FFFD.
    public mutating func string(utf8 value: UnsafeRawBufferPointer) {
        string(String(decoding: value, as: UTF8.self))
    }

    /// An integer of at most 64 bits.
    @inlinable
    public mutating func integer(_ value: some FixedWidthInteger) {
        integer(isNegative: value < 0, magnitude: UInt64(value.magnitude))
    }

    @usableFromInline
    mutating func integer(isNegative: Bool, magnitude: UInt64) {
        separate()
        appendDecimal(isNegative: isNegative, magnitude: magnitude)
    }

    /// The shortest digits that read back as the same value; `null` for infinities and NaN, which
    /// JSON does not have.
    public mutating func double(_ value: Double) {
        separate()
        appendDouble(value)
    }

    /// `true` or `false`.
    public mutating func bool(_ value: Bool) {
        separate()
        bytes.append(contentsOf: value ? "true".utf8 : "false".utf8)
    }

    /// `null`.
    public mutating func null() {
        separate()
        bytes.append(contentsOf: "null".utf8)
    }

    /// A value already in JSON, such as `JSONReader.skipValue` returns; copied as it is.
    public mutating func raw(_ value: UnsafeRawBufferPointer) {
        separate()
        bytes.append(contentsOf: value)
    }

    // MARK: Members in one call

    /// A key as it stands, and a string.
    public mutating func member(_ name: StaticString, string value: String) {
        key(name)
        string(value)
    }

    /// A key as it stands, and an integer of at most 64 bits.
    @inlinable
    public mutating func member(_ name: StaticString, integer value: some FixedWidthInteger) {
        key(name)
        integer(value)
    }

    /// A key as it stands, and a number; `null` for infinities and NaN.
    public mutating func member(_ name: StaticString, double value: Double) {
        key(name)
        double(value)
    }

    /// A key as it stands, and `true` or `false`.
    public mutating func member(_ name: StaticString, bool value: Bool) {
        key(name)
        bool(value)
    }

    /// A key as it stands, and `null`.
    public mutating func memberNull(_ name: StaticString) {
        key(name)
        null()
    }

    // MARK: Steps

    @inline(__always)
    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    private mutating func open(_ bracket: UInt8) {
        separate()
        bytes.append(bracket)
        needsComma = false
    }

    private mutating func close(_ bracket: UInt8) {
        bytes.append(bracket)
        needsComma = true
    }

    @inline(__always)
    private mutating func endKey() {
        bytes.append(quote)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    /// Copies runs that stand for themselves and escapes what lies between them.
    private mutating func appendEscaped(_ text: UnsafeRawBufferPointer) {
        guard let base = text.baseAddress else { return }
        var start = 0
        var i = 0
        while true {
            i = plainTextRun(base, i, text.count)
            guard i < text.count else { break }
            guard let length = escapedLength(text, at: i) else {
                i += 1
                continue
            }
            bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: text[start..<i]))
            appendEscape(text, at: i)
            i += length
            start = i
        }
        bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: text[start...]))
    }

    /// How many bytes at `i` one escape stands for; nil where none is needed.
    private func escapedLength(_ text: UnsafeRawBufferPointer, at i: Int) -> Int? {
        switch text[i] {
        case 0..<0x20, quote, backslash: return 1
        case UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "&"): return escapesHTML ? 1 : nil
        case 0xE2 where escapesHTML && i + 2 < text.count:
            return text[i + 1] == 0x80 && text[i + 2] & 0xFE == 0xA8 ? 3 : nil
        default: return nil
        }
    }

    private mutating func appendEscape(_ text: UnsafeRawBufferPointer, at i: Int) {
        switch text[i] {
        case quote, backslash: appendShortEscape(text[i])
        case 0x08: appendShortEscape(UInt8(ascii: "b"))
        case 0x0C: appendShortEscape(UInt8(ascii: "f"))
        case 0x0A: appendShortEscape(UInt8(ascii: "n"))
        case 0x0D: appendShortEscape(UInt8(ascii: "r"))
        case 0x09: appendShortEscape(UInt8(ascii: "t"))
        case 0xE2: bytes.append(contentsOf: text[i + 2] == 0xA8 ? #"\u2028"#.utf8 : #"\u2029"#.utf8)
        default:
            bytes.append(contentsOf: #"\u00"#.utf8)
            bytes.append(hexDigit(text[i] >> 4))
            bytes.append(hexDigit(text[i] & 15))
        }
    }

    private mutating func appendShortEscape(_ letter: UInt8) {
        bytes.append(backslash)
        bytes.append(letter)
    }

    @inline(__always)
    private func plainTextRun(_ base: UnsafeRawPointer, _ start: Int, _ end: Int) -> Int {
        var i = start
        while i &+ 16 <= end {
            let block = loadBlock(base, i)
            var special =
                lanes(of: block, below: 0x20) | lanes(of: block, equalTo: quote)
                | lanes(of: block, equalTo: backslash)
            if escapesHTML {
                special |=
                    lanes(of: block, equalTo: 0x3C) | lanes(of: block, equalTo: 0x3E)
                    | lanes(of: block, equalTo: 0x26) | lanes(of: block, equalTo: 0xE2)
            }
            if let lane = firstLane(special) { return i &+ lane }
            i &+= 16
        }
        while i < end, !mayNeedEscape(base.load(fromByteOffset: i, as: UInt8.self)) { i &+= 1 }
        return i
    }

    @inline(__always)
    private func mayNeedEscape(_ byte: UInt8) -> Bool {
        if byte < 0x20 || byte == quote || byte == backslash { return true }
        return escapesHTML && (byte == 0x3C || byte == 0x3E || byte == 0x26 || byte == 0xE2)
    }
}

private func hexDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? 0x30 + value : 0x61 + value - 10
}
