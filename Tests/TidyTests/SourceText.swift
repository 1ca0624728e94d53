/// A Swift file twice, line by line: as written, and with comments and string contents blanked, so
/// that a rule about code does not trip over prose.
struct SourceText {
    /// From the repository's top, with slashes: `Sources/Pacing/Instant.swift`.
    let path: String
    let lines: [Substring]
    let code: [Substring]

    init(path: String, text: String) {
        self.path = path
        lines = SourceText.split(text)
        var blanker = Blanker(text: text)
        code = SourceText.split(blanker.run())
    }

    func finding(line index: Int, _ what: String) -> Finding {
        Finding(path: path, line: index + 1, what: what)
    }

    /// The lines of a text; a newline at its end does not begin another one.
    static func split(_ text: String) -> [Substring] {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        if lines.last == "" { lines.removeLast() }
        return lines
    }
}

/// One broken rule, printed the way compilers do so that editors can jump to it.
struct Finding: CustomStringConvertible, Equatable {
    let path: String
    let line: Int
    let what: String

    var description: String { "\(path):\(line): \(what)" }
}

/// Replaces comments and string contents by spaces, newlines and code in interpolations kept.
///
/// Knows nested block comments, raw and multi-line strings; does not know regex literals.
private struct Blanker {
    private let bytes: [UInt8]
    private var out: [UInt8] = []
    private var i = 0

    init(text: String) {
        bytes = Array(text.utf8)
        out.reserveCapacity(bytes.count)
    }

    mutating func run() -> String {
        code(insideInterpolation: false)
        return String(decoding: out, as: UTF8.self)
    }

    private func starts(with text: StaticString, at offset: Int = 0) -> Bool {
        text.withUTF8Buffer { wanted in
            i + offset + wanted.count <= bytes.count
                && bytes[(i + offset)..<(i + offset + wanted.count)].elementsEqual(wanted)
        }
    }

    private mutating func keep(_ count: Int = 1) {
        out += bytes[i..<(i + count)]
        i += count
    }

    private mutating func blank(_ count: Int = 1) {
        for byte in bytes[i..<min(i + count, bytes.count)] {
            out.append(byte == UInt8(ascii: "\n") ? byte : UInt8(ascii: " "))
        }
        i += count
    }

    private mutating func code(insideInterpolation: Bool) {
        var depth = 0
        while i < bytes.count {
            if starts(with: "//") {
                while i < bytes.count, !starts(with: "\n") { blank() }
            } else if starts(with: "/*") {
                blockComment()
            } else if let hashes = stringOpening() {
                string(hashes: hashes)
            } else {
                if starts(with: "(") { depth += 1 }
                if starts(with: ")") { depth -= 1 }
                keep()
                if insideInterpolation, depth < 0 { return }
            }
        }
    }

    private mutating func blockComment() {
        var depth = 0
        while i < bytes.count {
            if starts(with: "/*") {
                depth += 1
                blank(2)
            } else if starts(with: "*/") {
                depth -= 1
                blank(2)
                if depth == 0 { return }
            } else {
                blank()
            }
        }
    }

    /// The number of `#` in front of the quotation mark that stands here, or nil if none does.
    private func stringOpening() -> Int? {
        var hashes = 0
        while starts(with: "#", at: hashes) { hashes += 1 }
        return starts(with: "\"", at: hashes) ? hashes : nil
    }

    private func hashesFollow(_ count: Int, at offset: Int) -> Bool {
        (0..<count).allSatisfy { starts(with: "#", at: offset + $0) }
    }

    private mutating func string(hashes: Int) {
        keep(hashes)
        let quotes = starts(with: "\"\"\"") ? 3 : 1
        keep(quotes)
        while i < bytes.count {
            if starts(with: "\\"), hashesFollow(hashes, at: 1) {
                if starts(with: "(", at: 1 + hashes) {
                    blank(2 + hashes)
                    code(insideInterpolation: true)
                } else {
                    blank(2 + hashes)
                }
            } else if quotes == 3 ? starts(with: "\"\"\"") : starts(with: "\""),
                hashesFollow(hashes, at: quotes)
            {
                keep(quotes + hashes)
                return
            } else if quotes == 1, starts(with: "\n") {
                return  // not Swift; the next line starts afresh
            } else {
                blank()
            }
        }
    }
}
