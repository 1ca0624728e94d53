import Foundation
import JSONCodec
import Pacing
import Testing

/// A document as a tree, built by the pull reader; what the tests compare.
enum Tree: Equatable {
    case object([Member])
    case array([Tree])
    case string(String)
    case integer(Int64)
    case double(Double)
    case bool(Bool)
    case null

    /// Whether some number in it is too large for a double.
    var hasOverflow: Bool {
        switch self {
        case .double(let value): value.isInfinite
        case .array(let elements): elements.contains { $0.hasOverflow }
        case .object(let members): members.contains { $0.value.hasOverflow }
        default: false
        }
    }

    struct Member: Equatable {
        var key: String
        var value: Tree
    }
}

/// How a document fared: read through to a tree, or refused.
enum Outcome: Equatable {
    case accepted(Tree)
    case refused(JSONError)

    var error: JSONError? {
        if case .refused(let error) = self { return error }
        return nil
    }
}

/// Reads the whole document token by token.
func pull(_ document: [UInt8], depthLimit: Int = 64) -> Outcome {
    document.withUnsafeBytes { bytes in
        var json = JSONReader(bytes, depthLimit: depthLimit)
        do throws(JSONError) {
            let tree = try readTree(&json)
            try json.endDocument()
            return .accepted(tree)
        } catch {
            return .refused(error)
        }
    }
}

private func readTree(_ json: inout JSONReader) throws(JSONError) -> Tree {
    switch try json.peek() {
    case .object:
        var members: [Tree.Member] = []
        try json.beginObject()
        while let key = try json.nextKey() {
            let name = key.string
            members.append(Tree.Member(key: name, value: try readTree(&json)))
        }
        return .object(members)
    case .array:
        var elements: [Tree] = []
        try json.beginArray()
        while try json.nextElement() { elements.append(try readTree(&json)) }
        return .array(elements)
    case .string: return .string(try json.readString().string)
    case .number:
        let number = try json.readNumber()
        if let integer = number.integer { return .integer(integer) }
        return .double(number.double ?? .infinity)
    case .bool: return .bool(try json.readBool())
    case .null:
        try json.readNull()
        return .null
    }
}

/// Checks the whole document without building anything; nil when it is accepted.
func skip(_ document: [UInt8]) -> JSONError? {
    document.withUnsafeBytes { bytes in
        var json = JSONReader(bytes)
        do throws(JSONError) {
            try json.skipValue()
            try json.endDocument()
            return nil
        } catch {
            return error
        }
    }
}

/// Feeds the document in the pieces that `lengths` gives; nil when it is accepted.
func stream(_ document: [UInt8], piece: () -> Int) -> JSONError? {
    var validator = JSONStreamValidator()
    do throws(JSONError) {
        var start = 0
        while start < document.count {
            let end = min(document.count, start + max(1, piece()))
            // A piece of memory of its own, so that a look beyond it cannot go unnoticed.
            let bytes = Array(document[start..<end])
            let result = bytes.withUnsafeBytes { bytes in
                Result<Void, JSONError> { () throws(JSONError) in try validator.feed(bytes) }
            }
            try result.get()
            start = end
        }
        try validator.finish()
        return nil
    } catch {
        return error
    }
}

extension JSONError {
    /// Without the path, which the validator of pieces does not know.
    var withoutPath: JSONError {
        JSONError(offset: offset, expected: expected, found: found)
    }
}

/// One line of Tests/Vectors/json.
struct Vector: CustomTestStringConvertible {
    var name: String
    var document: [UInt8]
    /// The byte at which the document is refused; nil when it is accepted.
    var refusedAt: Int?

    var testDescription: String { name }

    static let all: [Vector] = ["structure", "numbers", "strings"].flatMap { load($0) }

    private static func load(_ file: String) -> [Vector] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        let url = folder.appendingPathComponent("../Vectors/json/\(file).txt")
        let text = (try? String(contentsOf: url, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: "|", maxSplits: 2).map(String.init)
            guard !line.hasPrefix("#"), fields.count >= 2 else { return nil }
            let document = fields.count == 3 ? fields[2].dropFirst() : ""
            let verdict = fields[0].trimmingCharacters(in: .whitespaces)
            return Vector(
                name: "\(file): \(fields[1].trimmingCharacters(in: .whitespaces))",
                document: unescape(document),
                refusedAt: Int(verdict.replacingOccurrences(of: "reject@", with: "")))
        }
    }

    private static func unescape(_ text: Substring) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = String(decoding: rest.prefix(2), as: UTF8.self)
            if byte == UInt8(ascii: "%"), let value = UInt8(digits, radix: 16) {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return bytes
    }
}

extension String {
    var bytes: [UInt8] { Array(utf8) }
}
