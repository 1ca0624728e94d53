import JSONCodec
import Telemetry

/// A part of a result document as a tree, with histograms already understood.
///
/// Result documents are small beside what they tell of, so that a tree is affordable; whatever is
/// long has the pull reader.
enum ResultValue: Equatable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([ResultValue])
    case object([Member])
    /// The object under the key `histogram`.
    case histogram(LatencyHistogram)

    struct Member: Equatable, Sendable {
        var key: String
        var value: ResultValue
    }

    /// The whole document; nothing may follow it.
    init(document: UnsafeRawBufferPointer) throws(JSONError) {
        var reader = JSONReader(document)
        self = try ResultValue(reading: &reader)
        try reader.endDocument()
    }

    private init(reading reader: inout JSONReader) throws(JSONError) {
        switch try reader.peek() {
        case .null:
            try reader.readNull()
            self = .null
        case .bool: self = .bool(try reader.readBool())
        case .string: self = .string(try reader.readString().string)
        case .number:
            let number = try reader.readNumber()
            if let integer = number.integer {
                self = .integer(integer)
            } else if let double = number.double {
                self = .number(double)
            } else {
                throw reader.error(expected: "a number that is not infinite")
            }
        case .array:
            var elements: [ResultValue] = []
            try reader.beginArray()
            while try reader.nextElement() { elements.append(try ResultValue(reading: &reader)) }
            self = .array(elements)
        case .object:
            var members: [Member] = []
            try reader.beginObject()
            while let key = try reader.nextKey() {
                let name = key.string
                if name == "histogram", try reader.peek() == .object {
                    let histogram = try LatencyHistogram(reading: &reader)
                    members.append(Member(key: name, value: .histogram(histogram)))
                } else {
                    members.append(Member(key: name, value: try ResultValue(reading: &reader)))
                }
            }
            self = .object(members)
        }
    }

    /// A member of an object; nil for other values, and where it has none of that name.
    subscript(key: String) -> ResultValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.key == key }?.value
    }

    /// The members of an object; nil for other values.
    var members: [Member]? {
        guard case .object(let members) = self else { return nil }
        return members
    }

    /// Either kind of number; nil for other values.
    var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    func write(to writer: inout JSONWriter) {
        switch self {
        case .null: writer.null()
        case .bool(let value): writer.bool(value)
        case .integer(let value): writer.integer(value)
        case .number(let value): writer.double(value)
        case .string(let value): writer.string(value)
        case .histogram(let value): value.write(to: &writer)
        case .array(let elements):
            writer.beginArray()
            for element in elements { element.write(to: &writer) }
            writer.endArray()
        case .object(let members):
            writer.beginObject()
            for member in members {
                writer.key(member.key)
                member.value.write(to: &writer)
            }
            writer.endObject()
        }
    }

    /// For messages: the value where it is short, else its kind.
    var words: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .number(let value): "\(value)"
        case .string(let value) where value.utf8.count <= 80: "'\(value)'"
        case .string: "a long string"
        case .array: "an array"
        case .object, .histogram: "an object"
        }
    }
}
