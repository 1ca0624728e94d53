import Foundation
import HTTPCodec
import Testing

/// One message (or several on one connection) and what has to be made of it.
struct Vector: Sendable, CustomTestStringConvertible {
    var name: String
    var bytes: [UInt8] = []
    var expected: [String] = []
    /// The method of the request that a response answers; nil in request files.
    var requestMethod: RequestMethod?
    var closes = false
    var limits = HTTPLimits()
    var line = 0

    var testDescription: String { name }
}

/// Reads `Tests/Vectors/http/*.txt`; the format is described in the README beside them.
enum VectorFile {
    static let requests = load("requests") + load("requests-framing") + load("requests-limits")
    static let responses = load("responses")

    struct Malformed: Error, CustomStringConvertible {
        var description: String
    }

    private static func load(_ name: String) -> [Vector] {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../Vectors/http/\(name).txt").path
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            fatalError("no vectors at \(path)")
        }
        do {
            return try parse(text, isResponse: name == "responses")
        } catch {
            fatalError("\(name).txt: \(error)")
        }
    }

    static func parse(_ text: String, isResponse: Bool) throws -> [Vector] {
        var vectors: [Vector] = []
        for (index, line) in text.components(separatedBy: "\n").enumerated() {
            let rest = String(line.dropFirst(2))
            if line.isEmpty || line.hasPrefix("#") { continue }
            if line.hasPrefix("==") {
                vectors.append(Vector(name: rest.trimmingCharacters(in: .whitespaces)))
                vectors[vectors.count - 1].line = index + 1
                if isResponse { vectors[vectors.count - 1].requestMethod = .get }
                continue
            }
            guard !vectors.isEmpty else { throw Malformed(description: "line \(index + 1)") }
            let last = vectors.count - 1
            switch line.first {
            case ">": vectors[last].bytes += try unescape(rest)
            case "*":
                // "*100 text" is the text a hundred times.
                let parts = line.dropFirst().split(separator: " ", maxSplits: 1)
                guard parts.count == 2, let count = Int(parts[0]) else {
                    throw Malformed(description: "line \(index + 1): \(line)")
                }
                let once = try unescape(String(parts[1]))
                for _ in 0..<count { vectors[last].bytes += once }
            case "=": vectors[last].expected.append(rest.replacingOccurrences(of: "\\s", with: " "))
            case "!": try apply(rest, to: &vectors[last])
            default: throw Malformed(description: "line \(index + 1): \(line)")
            }
        }
        return vectors
    }

    private static func apply(_ setting: String, to vector: inout Vector) throws {
        let parts = setting.split(separator: " ").map(String.init)
        guard let word = parts.first else { return }
        let number = parts.count > 1 ? Int(parts[1]) : nil
        switch (word, number) {
        case ("close", _): vector.closes = true
        case ("to", _) where parts.count == 2 && parts[1] == "HEAD": vector.requestMethod = .head
        case ("to", _) where parts.count == 2 && parts[1] == "GET": vector.requestMethod = .get
        case ("head", let value?): vector.limits.maximumHeadBytes = value
        case ("target", let value?): vector.limits.maximumTargetBytes = value
        case ("fields", let value?): vector.limits.maximumFieldCount = value
        case ("body", let value?): vector.limits.maximumBodyBytes = Int64(value)
        case ("extensions", let value?): vector.limits.maximumChunkExtensionBytes = value
        default: throw Malformed(description: "unknown setting: \(setting)")
        }
    }

    /// \r \n \t \\ \s (a space that editors would strip) and \xNN.
    static func unescape(_ text: String) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var iterator = text.utf8.makeIterator()
        while let byte = iterator.next() {
            guard byte == UInt8(ascii: "\\") else {
                bytes.append(byte)
                continue
            }
            switch iterator.next() {
            case UInt8(ascii: "r"): bytes.append(13)
            case UInt8(ascii: "n"): bytes.append(10)
            case UInt8(ascii: "t"): bytes.append(9)
            case UInt8(ascii: "s"): bytes.append(32)
            case UInt8(ascii: "\\"): bytes.append(92)
            case UInt8(ascii: "x"):
                let digits = [iterator.next(), iterator.next()].compactMap { $0 }
                guard let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16) else {
                    throw Malformed(description: "bad escape in \(text)")
                }
                bytes.append(value)
            default: throw Malformed(description: "bad escape in \(text)")
            }
        }
        return bytes
    }
}
