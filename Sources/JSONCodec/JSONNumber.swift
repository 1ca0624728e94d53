/// A number of a document, borrowed and already checked against the grammar.
public struct JSONNumber {
    /// As written.
    public let raw: UnsafeRawBufferPointer
    /// Whether it is written without fraction and exponent.
    public let isInteger: Bool

    /// Its value when `isInteger` and within 64 bits.
    public var integer: Int64? {
        guard isInteger, let first = raw.first else { return nil }
        let isNegative = first == UInt8(ascii: "-")
        var magnitude: UInt64 = 0
        for byte in raw.dropFirst(isNegative ? 1 : 0) {
            let (product, tooLarge) = magnitude.multipliedReportingOverflow(by: 10)
            let (sum, carried) = product.addingReportingOverflow(UInt64(byte &- 0x30))
            if tooLarge || carried { return nil }
            magnitude = sum
        }
        if !isNegative { return Int64(exactly: magnitude) }
        return magnitude <= 1 << 63 ? Int64(truncatingIfNeeded: 0 &- magnitude) : nil
    }

    /// Its value, correctly rounded (to nearest, ties to even); nil when that is infinite.
    ///
    /// A number of up to 15 significant digits and a small power of ten is exact in one
    /// multiplication or division, because both operands are (Clinger, PLDI 1990); all others go
    /// through the standard library's conversion.
    public var double: Double? {
        if let exact = fastDouble { return exact }
        guard let value = Double(String(decoding: raw, as: UTF8.self)), value.isFinite else {
            return nil
        }
        return value
    }

    private var fastDouble: Double? {
        guard let first = raw.first, raw.count <= 24 else { return nil }
        let isNegative = first == UInt8(ascii: "-")
        var i = isNegative ? 1 : 0
        var mantissa: UInt64 = 0
        var digits = 0
        var exponent = 0
        var isFraction = false
        scan: while i < raw.count {
            let byte = raw[i]
            switch byte {
            case 0x30...0x39:
                mantissa = mantissa &* 10 &+ UInt64(byte &- 0x30)
                if mantissa != 0 { digits += 1 }
                if isFraction { exponent -= 1 }
            case UInt8(ascii: "."): isFraction = true
            default: break scan
            }
            i += 1
        }
        if i < raw.count {
            guard let written = smallExponent(from: i + 1) else { return nil }
            exponent += written
        }
        guard digits <= 15, -22...22 ~= exponent else { return nil }
        let value =
            exponent < 0
            ? Double(mantissa) / powersOfTen[-exponent] : Double(mantissa) * powersOfTen[exponent]
        return isNegative ? -value : value
    }

    /// The exponent after its mark, when it has at most three digits.
    private func smallExponent(from start: Int) -> Int? {
        guard start < raw.count else { return nil }
        let hasSign = raw[start] == UInt8(ascii: "-") || raw[start] == UInt8(ascii: "+")
        let digits = raw[(start + (hasSign ? 1 : 0))...]
        guard digits.count <= 3 else { return nil }
        let magnitude = digits.reduce(0) { $0 * 10 + Int($1 &- 0x30) }
        return raw[start] == UInt8(ascii: "-") ? -magnitude : magnitude
    }
}

@available(*, unavailable)
extension JSONNumber: Sendable {}

/// All powers of ten that a `Double` holds exactly.
private let powersOfTen: [Double] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
]
