/// Walks the body of one string, from after its opening quote to its closing one, over any split of
/// its bytes; checks control characters, escapes, surrogate pairs (RFC 8259 section 7) and UTF-8
/// (RFC 3629). Lone surrogates are refused: they are no characters, and readers disagree on them
/// (RFC 8259 section 8.2).
///
///     state          byte                      next state
///     plain          "                         ended
///     plain          \                         escape
///     plain          lead byte of UTF-8        continuation (bounds by the lead byte)
///     escape         " \ / b f n r t           plain
///     escape         u                         hex
///     hex            4th digit: high surrogate lowSlash
///     hex            4th digit: other          plain
///     lowSlash       \                         lowLetter
///     lowLetter      u                         hex (must be a low surrogate)
///     continuation   within bounds             continuation or plain
struct StringScanner {
    private enum State: UInt8 { case plain, escape, hex, lowSlash, lowLetter, continuation }

    private var state = State.plain
    private var hexDigits: UInt8 = 0
    private var afterHigh = false
    private var unit: UInt16 = 0
    private var continuations: UInt8 = 0
    private var lowest: UInt8 = 0x80
    private var highest: UInt8 = 0xBF
    /// Whether a backslash was seen: without one the bytes are the text itself.
    private(set) var hasEscapes = false

    /// What would continue the string, for an error at the end of the document.
    var pending: Expectation {
        switch state {
        case .plain: .closingQuote
        case .escape: .escape
        case .hex: .hexDigit
        case .lowSlash, .lowLetter: .lowSurrogate
        case .continuation: .continuationByte
        }
    }

    /// Scans `base[position..<end]`; `position` ends after the closing quote, or at `end`.
    @inline(__always)
    mutating func scan(_ base: UnsafeRawPointer, _ position: inout Int, _ end: Int) -> ScanOutcome {
        if state == .plain {
            position = plainRun(base, position, end)
            if position < end, base.load(fromByteOffset: position, as: UInt8.self) == quote {
                position &+= 1
                return .ended
            }
        }
        return scanRest(base, &position, end)
    }

    @inline(never)
    private mutating func scanRest(
        _ base: UnsafeRawPointer, _ position: inout Int, _ end: Int
    ) -> ScanOutcome {
        while position < end {
            if state == .plain { position = plainRun(base, position, end) }
            guard position < end else { break }
            let byte = base.load(fromByteOffset: position, as: UInt8.self)
            if state == .plain {
                if byte == quote {
                    position &+= 1
                    return .ended
                } else if byte == backslash {
                    state = .escape
                    hasEscapes = true
                } else if byte < 0x20 {
                    return .failed(.escapedControl, offset: position)
                } else if !startSequence(byte) {
                    return .failed(.wellFormedUTF8, offset: position)
                }
            } else if let fault = step(byte) {
                // A bad surrogate is reported at the backslash of its escape, six bytes long.
                let back = state == .hex && fault != .hexDigit ? 5 : 0
                return .failed(fault, offset: position &- back)
            }
            position &+= 1
        }
        return .more
    }

    /// Takes one byte of an escape or of a UTF-8 sequence.
    private mutating func step(_ byte: UInt8) -> Expectation? {
        switch state {
        case .plain: return nil
        case .continuation:
            guard byte >= lowest, byte <= highest else { return .continuationByte }
            (lowest, highest) = (0x80, 0xBF)
            continuations &-= 1
            if continuations == 0 { state = .plain }
        case .escape:
            if byte == UInt8(ascii: "u") {
                startHex()
            } else if isShortEscape(byte) {
                state = .plain
            } else {
                return .escape
            }
        case .hex:
            guard let digit = hexValue(byte) else { return .hexDigit }
            unit = unit &<< 4 | UInt16(digit)
            hexDigits &+= 1
            if hexDigits == 4 { return endHex() }
        case .lowSlash:
            guard byte == backslash else { return .lowSurrogate }
            state = .lowLetter
        case .lowLetter:
            guard byte == UInt8(ascii: "u") else { return .lowSurrogate }
            startHex()
        }
        return nil
    }

    private mutating func startHex() {
        (state, hexDigits, unit) = (.hex, 0, 0)
    }

    private mutating func endHex() -> Expectation? {
        let isLow = unit & 0xFC00 == 0xDC00
        if afterHigh != isLow { return afterHigh ? .lowSurrogate : .noLowSurrogate }
        afterHigh = unit & 0xFC00 == 0xD800
        state = afterHigh ? .lowSlash : .plain
        return nil
    }

    /// Bounds of the second byte by the first: RFC 3629 section 4 (no overlong forms, no encoded
    /// surrogates, nothing past U+10FFFF).
    private mutating func startSequence(_ lead: UInt8) -> Bool {
        switch lead {
        case 0xC2...0xDF: continuations = 1
        case 0xE0...0xEF: continuations = 2
        case 0xF0...0xF4: continuations = 3
        default: return false
        }
        switch lead {
        case 0xE0: lowest = 0xA0
        case 0xED: highest = 0x9F
        case 0xF0: lowest = 0x90
        case 0xF4: highest = 0x8F
        default: break
        }
        state = .continuation
        return true
    }
}

let quote = UInt8(ascii: "\"")
let backslash = UInt8(ascii: "\\")

/// The end of the run of bytes from `start` that stand for themselves in a string and are ASCII.
@inline(__always)
func plainRun(_ base: UnsafeRawPointer, _ start: Int, _ end: Int) -> Int {
    var i = start
    while i &+ 16 <= end {
        let block = loadBlock(base, i)
        let special =
            lanesOutsideText(of: block) | lanes(of: block, equalTo: quote)
            | lanes(of: block, equalTo: backslash)
        if let lane = firstLane(special) { return i &+ lane }
        i &+= 16
    }
    while i < end {
        let byte = base.load(fromByteOffset: i, as: UInt8.self)
        if byte < 0x20 || byte >= 0x80 || byte == quote || byte == backslash { break }
        i &+= 1
    }
    return i
}

@inline(__always)
func hexValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte &- 0x30
    case 0x41...0x46: byte &- 0x37
    case 0x61...0x66: byte &- 0x57
    default: nil
    }
}

private func isShortEscape(_ byte: UInt8) -> Bool {
    switch byte {
    case quote, backslash, UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
        UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
        true
    default: false
    }
}
