/// A string of a document, borrowed: the bytes between its quotes, already checked.
public struct JSONText {
    /// As written, escapes included; valid UTF-8.
    public let raw: UnsafeRawBufferPointer
    /// Without escapes `raw` is the text itself.
    public let hasEscapes: Bool

    /// Whether this is `key`, the case of ASCII letters aside (as Go's decoder matches keys).
    /// Allocates nothing.
    public func matches(_ key: StaticString) -> Bool {
        key.withUTF8Buffer { key in
            if hasEscapes { return unescapedMatches(key) }
            guard raw.count == key.count else { return false }
            for i in 0..<key.count where lowercased(raw[i]) != lowercased(key[i]) { return false }
            return true
        }
    }

    private func unescapedMatches(_ key: UnsafeBufferPointer<UInt8>) -> Bool {
        var decoder = EscapeDecoder(raw)
        var i = 0
        while let byte = decoder.next() {
            guard i < key.count, lowercased(byte) == lowercased(key[i]) else { return false }
            i += 1
        }
        return i == key.count
    }

    /// The text itself.
    public var string: String {
        guard hasEscapes else { return String(decoding: raw, as: UTF8.self) }
        var bytes: [UInt8] = []
        append(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Adds the text itself, as UTF-8, to `bytes`.
    public func append(to bytes: inout [UInt8]) {
        guard hasEscapes else {
            bytes.append(contentsOf: raw)
            return
        }
        bytes.reserveCapacity(bytes.count + raw.count)  // no escape is shorter than its character
        var decoder = EscapeDecoder(raw)
        while let byte = decoder.next() { bytes.append(byte) }
    }
}

@available(*, unavailable)
extension JSONText: Sendable {}

@inline(__always)
private func lowercased(_ byte: UInt8) -> UInt8 {
    byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte
}

/// Yields the UTF-8 bytes of a checked string body with its escapes resolved.
struct EscapeDecoder {
    private let raw: UnsafeRawBufferPointer
    private var position = 0
    /// Bytes of a decoded escape still to be given out, the next one lowest.
    private var held: UInt32 = 0
    private var heldCount = 0

    init(_ raw: UnsafeRawBufferPointer) { self.raw = raw }

    mutating func next() -> UInt8? {
        if heldCount > 0 {
            defer {
                held &>>= 8
                heldCount -= 1
            }
            return UInt8(truncatingIfNeeded: held)
        }
        guard position < raw.count else { return nil }
        let byte = raw[position]
        position += 1
        guard byte == backslash, position < raw.count else { return byte }
        let letter = raw[position]
        position += 1
        switch letter {
        case UInt8(ascii: "b"): return 0x08
        case UInt8(ascii: "f"): return 0x0C
        case UInt8(ascii: "n"): return 0x0A
        case UInt8(ascii: "r"): return 0x0D
        case UInt8(ascii: "t"): return 0x09
        case UInt8(ascii: "u"): return startScalar()
        default: return letter
        }
    }

    /// Encodes the scalar whose four digits come next, and its low surrogate when it is a high one.
    private mutating func startScalar() -> UInt8 {
        var code = fourDigits()
        if code & 0xFC00 == 0xD800 {
            position += 2  // the `\u` of the low one; the scanner saw to it that it is there
            code = 0x10000 + (code & 0x3FF) << 10 + (fourDigits() & 0x3FF)
        }
        if code < 0x80 { return UInt8(truncatingIfNeeded: code) }
        // Lead byte out now, continuations held.
        let tail = { (shift: UInt32) -> UInt32 in 0x80 | code &>> shift & 0x3F }
        if code < 0x800 {
            (held, heldCount) = (tail(0), 1)
            return UInt8(truncatingIfNeeded: 0xC0 | code &>> 6)
        }
        if code < 0x10000 {
            (held, heldCount) = (tail(6) | tail(0) &<< 8, 2)
            return UInt8(truncatingIfNeeded: 0xE0 | code &>> 12)
        }
        (held, heldCount) = (tail(12) | tail(6) &<< 8 | tail(0) &<< 16, 3)
        return UInt8(truncatingIfNeeded: 0xF0 | code &>> 18)
    }

    private mutating func fourDigits() -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 where position < raw.count {
            code = code &<< 4 | UInt32(hexValue(raw[position]) ?? 0)
            position += 1
        }
        return code
    }
}
