extension JSONWriter {
    /// Appends the shortest decimal that reads back as `value` to any buffer; `null` when it is not
    /// finite. For text formats that write their numbers as JSON does.
    public static func append(_ value: Double, to bytes: inout [UInt8]) {
        var json = JSONWriter()
        swap(&json.bytes, &bytes)
        json.double(value)
        swap(&json.bytes, &bytes)
    }

    mutating func appendDecimal(isNegative: Bool, magnitude: UInt64) {
        if isNegative { bytes.append(UInt8(ascii: "-")) }
        if magnitude < 10 {
            bytes.append(0x30 &+ UInt8(truncatingIfNeeded: magnitude))
            return
        }
        withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { digits in
            var rest = magnitude
            var i = 20
            repeat {
                i &-= 1
                digits[i] = 0x30 &+ UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest != 0
            bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: digits[i...]))
        }
    }

    /// Appends the shortest decimal that reads back as `value`; `null` when it is not finite.
    mutating func appendDouble(_ value: Double) {
        guard value.isFinite else {
            bytes.append(contentsOf: "null".utf8)
            return
        }
        // Up to 2^53 every integer is its own shortest form; minus zero keeps its sign.
        if value.magnitude < 9_007_199_254_740_992, value == value.rounded(.towardZero) {
            if value == 0, value.sign == .minus {
                bytes.append(contentsOf: "-0".utf8)
            } else {
                appendDecimal(isNegative: value < 0, magnitude: UInt64(value.magnitude))
            }
            return
        }
        var text = value.description
        if text.hasSuffix(".0") { text.removeLast(2) }
        bytes.append(contentsOf: text.utf8)
    }
}
