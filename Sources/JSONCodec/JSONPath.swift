/// Finds out where in a document a byte lies. Only runs once something is wrong, so that reading
/// itself keeps no record of where it is.
enum JSONPath {
    private struct Level {
        var isObject: Bool
        var index = 0
        var key: Range<Int>?
    }

    /// Such as `$[3].ports[0]`. The bytes before `offset` must have been accepted by a scanner.
    static func text(_ bytes: UnsafeRawBufferPointer, upTo offset: Int) -> String {
        let end = min(offset, bytes.count)
        var levels: [Level] = []
        var keyFollows = false
        var i = 0
        while i < end {
            switch bytes[i] {
            case quote:
                let start = i + 1
                i = closingQuote(bytes, from: start, end)
                if keyFollows, i < end {
                    levels[levels.count - 1].key = start..<i
                    keyFollows = false
                }
            case UInt8(ascii: "{"):
                levels.append(Level(isObject: true))
                keyFollows = true
            case UInt8(ascii: "["):
                levels.append(Level(isObject: false))
                keyFollows = false
            case UInt8(ascii: "]"), UInt8(ascii: "}"):
                levels.removeLast(levels.isEmpty ? 0 : 1)
                keyFollows = false
            case UInt8(ascii: ","):
                guard let last = levels.indices.last else { break }
                levels[last].index += 1
                levels[last].key = nil
                keyFollows = levels[last].isObject
            default: break
            }
            i += 1
        }
        return levels.prefix(10).reduce(into: "$") { $0 += step($1, bytes) }
            + (levels.count > 10 ? "…" : "")
    }

    /// The value at `offset` as it is written, cut to a readable length.
    static func snippet(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> String {
        guard offset < bytes.count else { return describe(nil) }
        let first = bytes[offset]
        guard let kind = JSONKind(firstByte: first) else { return describe(first) }
        if kind == .object || kind == .array { return kind.words }
        var end = offset + 1
        if kind == .string {
            end = min(closingQuote(bytes, from: end, bytes.count) + 1, bytes.count)
        } else {
            while end < bytes.count, isWordByte(bytes[end]) { end += 1 }
        }
        return cut(bytes, offset..<end)
    }

    private static func step(_ level: Level, _ bytes: UnsafeRawBufferPointer) -> String {
        guard level.isObject else { return "[\(level.index)]" }
        guard let key = level.key else { return "" }
        let isPlain = !key.isEmpty && key.allSatisfy { isWordByte(bytes[$0]) && bytes[$0] > 0x2E }
        return isPlain ? ".\(cut(bytes, key))" : "[\"\(cut(bytes, key))\"]"
    }

    private static func cut(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> String {
        let limit = 40
        let text = String(decoding: bytes[range.prefix(limit)], as: UTF8.self)
        return range.count > limit ? text + "…" : text
    }

    private static func closingQuote(
        _ bytes: UnsafeRawBufferPointer, from start: Int, _ end: Int
    ) -> Int {
        var i = start
        while i < end, bytes[i] != quote { i += bytes[i] == backslash ? 2 : 1 }
        return i
    }

    /// Letters, digits, `_`, and what else a number may contain.
    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2B, 0x2D, 0x2E, 0x5F: true
        default: false
        }
    }
}
