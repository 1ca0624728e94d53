/// Searches over raw bytes that never look past `end`.
///
/// Sixteen bytes at a time. The last few are searched with a load that ends where the buffer ends,
/// its first lanes ignored; only a buffer of less than sixteen bytes is searched one by one.
enum ByteScan {
    typealias Vector = SIMD16<UInt8>
    typealias Mask = SIMDMask<SIMD16<Int8>>

    /// Operators between two vectors compile to one instruction; those with a scalar on one side
    /// are generic and loop over the lanes.
    @inline(__always)
    private static func all(_ byte: UInt8) -> Vector { Vector(repeating: byte) }

    /// The index of the first lane that is set in `mask`, or 16.
    @inline(__always)
    private static func firstLane(_ mask: Mask) -> Int {
        let words = unsafeBitCast(mask, to: SIMD2<UInt64>.self)
        let low = UInt64(littleEndian: words[0])
        if low != 0 { return low.trailingZeroBitCount >> 3 }
        return 8 + UInt64(littleEndian: words[1]).trailingZeroBitCount >> 3
    }

    /// As `firstLane`, without the first `skipped` (0 to 15) lanes.
    @inline(__always)
    private static func firstLane(_ mask: Mask, after skipped: Int) -> Int {
        let words = unsafeBitCast(mask, to: SIMD2<UInt64>.self)
        let shift = UInt64(truncatingIfNeeded: skipped &* 8)
        let low = skipped < 8 ? UInt64(littleEndian: words[0]) & (UInt64.max &<< shift) : 0
        if low != 0 { return low.trailingZeroBitCount >> 3 }
        let high = UInt64(littleEndian: words[1])
        let kept = skipped < 8 ? high : high & (UInt64.max &<< (shift &- 64))
        return 8 + kept.trailingZeroBitCount >> 3
    }

    /// The first byte from `start` on at which the search stops, or `end`.
    ///
    /// - Parameters:
    ///   - candidates: marks every lane at which the search stops, and perhaps some more.
    ///   - stops: tells for one byte.
    @inline(__always)
    private static func search(
        _ base: UnsafeRawPointer, from start: Int, to end: Int,
        candidates: (Vector) -> Mask, stops: (UInt8) -> Bool
    ) -> Int {
        var index = start
        while end &- index >= 16 {
            let bytes = base.loadUnaligned(fromByteOffset: index, as: Vector.self)
            let lane = firstLane(candidates(bytes))
            index &+= lane
            if lane == 16 { continue }
            if stops(base.load(fromByteOffset: index, as: UInt8.self)) { return index }
            index &+= 1
        }
        if end >= 16 {
            let last = end &- 16
            let mask = candidates(base.loadUnaligned(fromByteOffset: last, as: Vector.self))
            while index < end {
                index = last &+ firstLane(mask, after: index &- last)
                if index == end || stops(base.load(fromByteOffset: index, as: UInt8.self)) {
                    return index
                }
                index &+= 1
            }
            return end
        }
        while index < end, !stops(base.load(fromByteOffset: index, as: UInt8.self)) {
            index &+= 1
        }
        return index
    }

    /// The first byte from `start` on that is no `tchar` (RFC 9110 §5.6.2), or `end`.
    @inline(__always)
    static func endOfToken(_ base: UnsafeRawPointer, from start: Int, to end: Int) -> Int {
        // Letters, digits, "-" and "_" by vector; the rarer marks one at a time.
        search(base, from: start, to: end) { bytes in
            let letters = ((bytes | all(0x20)) &- all(0x61)) .< all(26)
            let digits = (bytes &- all(0x30)) .< all(10)
            return .!(letters .| digits .| (bytes .== all(0x2D)) .| (bytes .== all(0x5F)))
        } stops: {
            !isToken($0)
        }
    }

    /// The first byte from `start` on that cannot be inside a request target: controls, space,
    /// anything but ASCII, and "#" (a fragment is never sent; RFC 9112 §3.2), or `end`.
    @inline(__always)
    static func endOfTarget(_ base: UnsafeRawPointer, from start: Int, to end: Int) -> Int {
        search(base, from: start, to: end) { bytes in
            // One subtraction folds both ends of 0x21...0x7E into a single comparison.
            ((bytes &- all(0x21)) .> all(0x5D)) .| (bytes .== all(0x23))
        } stops: {
            $0 &- 0x21 > 0x5D || $0 == 0x23
        }
    }

    /// The first control byte other than HTAB from `start` on, or `end`: where a field value or
    /// a reason phrase stops (RFC 9110 §5.5; bytes from 0x80 up are obs-text and allowed).
    @inline(__always)
    static func endOfValue(_ base: UnsafeRawPointer, from start: Int, to end: Int) -> Int {
        search(base, from: start, to: end) { bytes in
            (bytes .< all(0x20)) .| (bytes .== all(0x7F))
        } stops: {
            ($0 < 0x20 && $0 != 0x09) || $0 == 0x7F
        }
    }

    /// The first byte that is no letter, digit, "-" or ".", among the first sixteen; 0 where fewer
    /// may be read.
    @inline(__always)
    static func endOfHostName(_ base: UnsafeRawPointer, readable: Int) -> Int {
        if readable < 16 { return 0 }
        let bytes = base.loadUnaligned(as: Vector.self)
        let letters = ((bytes | all(0x20)) &- all(0x61)) .< all(26)
        let digits = (bytes &- all(0x30)) .< all(10)
        let marks = (bytes &- all(0x2D)) .< all(2)
        return firstLane(.!(letters .| digits .| marks))
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
