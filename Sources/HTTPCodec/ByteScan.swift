/// Searches over raw bytes that never look past `end`.
///
/// Sixteen bytes at a time while as many are left, then one by one: fields shorter than a vector
/// are common in the middle of a head (the load then covers what follows them, which is within
/// the buffer), and only the last bytes of a buffer are scalar.
enum ByteScan {
    typealias Vector = SIMD16<UInt8>

    /// Operators between two vectors compile to one instruction; those with a scalar on one side
    /// are generic and loop over the lanes.
    @inline(__always)
    private static func all(_ byte: UInt8) -> Vector { Vector(repeating: byte) }

    /// The index of the first lane that is set in `mask`, or 16.
    @inline(__always)
    static func firstLane(_ mask: SIMDMask<SIMD16<Int8>>) -> Int {
        let words = unsafeBitCast(mask, to: SIMD2<UInt64>.self)
        let low = UInt64(littleEndian: words[0])
        if low != 0 { return low.trailingZeroBitCount >> 3 }
        return 8 + UInt64(littleEndian: words[1]).trailingZeroBitCount >> 3
    }

    /// The first byte from `start` on that is no `tchar` (RFC 9110 §5.6.2), or `end`.
    @inline(__always)
    static func endOfToken(_ base: UnsafeRawPointer, from start: Int, to end: Int) -> Int {
        var index = start
        while end &- index >= 16 {
            let bytes = base.loadUnaligned(fromByteOffset: index, as: Vector.self)
            // Letters, digits, "-" and "_" by vector; the rarer marks one at a time below.
            let letters = ((bytes | all(0x20)) &- all(0x61)) .< all(26)
            let digits = (bytes &- all(0x30)) .< all(10)
            let known = letters .| digits .| (bytes .== all(0x2D)) .| (bytes .== all(0x5F))
            let lane = firstLane(.!known)
            index &+= lane
            if lane == 16 { continue }
            if !isToken(base.load(fromByteOffset: index, as: UInt8.self)) { return index }
            index &+= 1
        }
        while index < end, isToken(base.load(fromByteOffset: index, as: UInt8.self)) {
            index &+= 1
        }
        return index
    }

    /// The first byte from `start` on that cannot be inside a request target: controls, space,
    /// anything but ASCII, and "#" (a fragment is never sent; RFC 9112 §3.2), or `end`.
    @inline(__always)
    static func endOfTarget(_ base: UnsafeRawPointer, from start: Int, to end: Int) -> Int {
        var index = start
        while end &- index >= 16 {
            let bytes = base.loadUnaligned(fromByteOffset: index, as: Vector.self)
            // One subtraction folds both ends of 0x21...0x7E into a single comparison.
            let stop = ((bytes &- all(0x21)) .> all(0x5D)) .| (bytes .== all(0x23))
            let lane = firstLane(stop)
            index &+= lane
            if lane != 16 { return index }
        }
        while index < end {
            let byte = base.load(fromByteOffset: index, as: UInt8.self)
            if byte &- 0x21 > 0x5D || byte == 0x23 { break }
            index &+= 1
        }
        return index
    }

    /// The first control byte other than HTAB from `start` on, or `end`: where a field value or
    /// a reason phrase stops (RFC 9110 §5.5; bytes from 0x80 up are obs-text and allowed).
    @inline(__always)
    static func endOfValue(_ base: UnsafeRawPointer, from start: Int, to end: Int) -> Int {
        var index = start
        while end &- index >= 16 {
            let bytes = base.loadUnaligned(fromByteOffset: index, as: Vector.self)
            let stop = (bytes .< all(0x20)) .| (bytes .== all(0x7F))
            let lane = firstLane(stop)
            index &+= lane
            if lane == 16 { continue }
            if base.load(fromByteOffset: index, as: UInt8.self) != 0x09 { return index }
            index &+= 1
        }
        while index < end {
            let byte = base.load(fromByteOffset: index, as: UInt8.self)
            if (byte < 0x20 && byte != 0x09) || byte == 0x7F { break }
            index &+= 1
        }
        return index
    }

    /// `tchar` of RFC 9110 §5.6.2, one bit a byte in two words.
    @inline(__always)
    static func isToken(_ byte: UInt8) -> Bool {
        // 0x20–0x3F: ! # $ % & ' * + - . 0–9      0x40–0x7F: A–Z ^ _ ` a–z | ~
        let low: UInt64 = 0x03FF_6CFA_0000_0000
        let high: UInt64 = 0x57FF_FFFF_C7FF_FFFE
        if byte >= 0x80 { return false }
        let word = byte < 0x40 ? low : high
        return (word >> UInt64(byte & 0x3F)) & 1 != 0
    }

    @inline(__always)
    static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    /// The value of a hexadecimal digit, or nil.
    @inline(__always)
    static func hexValue(_ byte: UInt8) -> UInt8? {
        if byte &- 0x30 < 10 { return byte &- 0x30 }
        let letter = (byte | 0x20) &- 0x61
        return letter < 6 ? letter &+ 10 : nil
    }

    /// ASCII letters in lower case, every other byte as it is.
    @inline(__always)
    static func lowercased(_ byte: UInt8) -> UInt8 {
        byte &- 0x41 < 26 ? byte | 0x20 : byte
    }

    /// Whether both runs are equal when ASCII case is ignored.
    @inline(__always)
    static func equalsIgnoringCase(
        _ a: UnsafeRawPointer, _ b: UnsafeRawPointer, count: Int
    ) -> Bool {
        var index = 0
        while index < count {
            let x = a.load(fromByteOffset: index, as: UInt8.self)
            let y = b.load(fromByteOffset: index, as: UInt8.self)
            if x != y, lowercased(x) != lowercased(y) { return false }
            index &+= 1
        }
        return true
    }

    /// Whether `count` bytes at `base` are `word`, which is written in lower case.
    @inline(__always)
    static func matches(_ base: UnsafeRawPointer, count: Int, _ word: StaticString) -> Bool {
        count == word.utf8CodeUnitCount
            && equalsIgnoringCase(base, UnsafeRawPointer(word.utf8Start), count: count)
    }
}
