/// Walks one number over any split of its bytes (RFC 8259 section 6). It does not consume the byte
/// after the number, so a number at the very end of a document ends only with `isComplete`.
///
///     start     -: minus      0: zero       1-9: integer
///     minus     0: zero       1-9: integer
///     zero      .: point      e E: mark     other: ended
///     integer   0-9: integer  .: point      e E: mark     other: ended
///     point     0-9: fraction
///     fraction  0-9: fraction e E: mark     other: ended
///     mark      + -: sign     0-9: exponent
///     sign      0-9: exponent
///     exponent  0-9: exponent other: ended
struct NumberScanner {
    private enum State: UInt8 {
        case start, minus, zero, integer, point, fraction, mark, sign, exponent
    }

    private var state = State.start

    /// Whether what was seen so far is a number.
    var isComplete: Bool {
        switch state {
        case .zero, .integer, .fraction, .exponent: true
        case .start, .minus, .point, .mark, .sign: false
        }
    }

    /// Whether the number has neither a fraction nor an exponent.
    var isInteger: Bool { state == .zero || state == .integer }

    @inline(__always)
    mutating func scan(_ base: UnsafeRawPointer, _ position: inout Int, _ end: Int) -> ScanOutcome {
        while position < end {
            let byte = base.load(fromByteOffset: position, as: UInt8.self)
            if byte &- 0x30 <= 9 {
                guard takeDigit(byte) else { return .ended }
            } else if !takeOther(byte) {
                return isComplete ? .ended : .failed(.digit, offset: position)
            }
            position &+= 1
        }
        return .more
    }

    /// False when a digit cannot follow, which is so only after a leading zero: the number ended.
    @inline(__always)
    private mutating func takeDigit(_ byte: UInt8) -> Bool {
        switch state {
        case .integer, .fraction, .exponent: return true
        case .start, .minus: state = byte == 0x30 ? .zero : .integer
        case .zero: return false
        case .point: state = .fraction
        case .mark, .sign: state = .exponent
        }
        return true
    }

    private mutating func takeOther(_ byte: UInt8) -> Bool {
        switch (state, byte) {
        case (.start, UInt8(ascii: "-")): state = .minus
        case (.zero, UInt8(ascii: ".")), (.integer, UInt8(ascii: ".")): state = .point
        case (.zero, UInt8(ascii: "e")), (.zero, UInt8(ascii: "E")),
            (.integer, UInt8(ascii: "e")), (.integer, UInt8(ascii: "E")),
            (.fraction, UInt8(ascii: "e")), (.fraction, UInt8(ascii: "E")):
            state = .mark
        case (.mark, UInt8(ascii: "+")), (.mark, UInt8(ascii: "-")): state = .sign
        default: return false
        }
        return true
    }
}
