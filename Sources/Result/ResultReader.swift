import JSONCodec
import Telemetry

/// Why a document is no result, or does not go with others: one sentence, its name first.
public struct ResultRefusal: Error, Equatable, Sendable, CustomStringConvertible {
    /// The document, as the caller named it.
    public let document: String
    /// What is wrong with it, and where.
    public let reason: String
    /// Whether the document is good in itself, but does not go with those before it.
    public let isMismatch: Bool

    init(_ document: String, _ reason: String, isMismatch: Bool = false) {
        self.document = document
        self.reason = reason
        self.isMismatch = isMismatch
    }

    public var description: String { "\(document): \(reason)" }
}

extension RunResult {
    /// Reads what ``json`` wrote, also what an older version of the same kind wrote: a figure that
    /// it did not have is not known.
    ///
    /// - Parameters:
    ///   - name: of the document, for messages.
    ///   - kinds: those that can be read.
    public init(
        reading bytes: UnsafeRawBufferPointer, name: String, kinds: [ResultKind]
    ) throws(ResultRefusal) {
        let document: ResultValue
        do throws(JSONError) {
            document = try ResultValue(document: bytes)
        } catch {
            throw ResultRefusal(name, "not a whole JSON document: \(error)")
        }
        self = try RunResult(document, name: name, kinds: kinds)
    }

    /// Whether a document says that it is a result of this form, of whatever kind.
    public static func isResult(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let document = try? ResultValue(document: bytes) else { return false }
        return document["kind"] != nil && document["schema"] != nil && document["runs"] != nil
    }

    private init(
        _ document: ResultValue, name: String, kinds: [ResultKind]
    ) throws(ResultRefusal) {
        guard case .string(let kindName)? = document["kind"] else {
            throw ResultRefusal(name, "not a result: it has no member 'kind'")
        }
        guard let kind = kinds.first(where: { $0.name == kindName }) else {
            let known = kinds.map { "'\($0.name)'" }.joined(separator: ", ")
            throw ResultRefusal(name, "is of the kind '\(kindName)': expected \(known)")
        }
        guard case .integer(let schema)? = document["schema"], schema >= 1 else {
            throw ResultRefusal(name, "lacks 'schema', perhaps because an older version wrote it")
        }
        guard schema <= RunResult.schema else {
            throw ResultRefusal(
                name,
                "is of schema \(schema), written by a newer version: expected \(RunResult.schema)"
            )
        }
        let reader = DocumentReader(name: name)
        self.kind = kind
        runs = try reader.runs(document["runs"])
        configuration = try reader.texts(of: document["configuration"], "configuration")
        notes = try reader.texts(document["notes"] ?? .array([]), "notes")
        leftOut = try reader.texts(document["leftout"] ?? .array([]), "leftout")
        figures = try reader.measures(
            kind.figures, in: document["figures"] ?? .null, "figures")
        for breakdown in kind.breakdowns {
            breakdowns[breakdown.key] = try reader.rows(
                breakdown, document["breakdowns"]?[breakdown.key] ?? .array([]))
        }
        for distribution in kind.distributions {
            guard let value = document["distributions"]?[distribution.key] else {
                histograms[distribution.key] = LatencyHistogram()
                continue
            }
            guard case .histogram(let histogram)? = value["histogram"] else {
                throw reader.wrong("distributions.\(distribution.key)", value, "a histogram")
            }
            histograms[distribution.key] = histogram
        }
    }
}

/// Reads parts of one document, and says where one is not what it should be.
private struct DocumentReader {
    let name: String

    func wrong(_ path: String, _ value: ResultValue, _ expected: String) -> ResultRefusal {
        ResultRefusal(name, "'\(path)' is \(value.words): expected \(expected)")
    }

    func runs(_ value: ResultValue?) throws(ResultRefusal) -> [RunResult.Run] {
        guard case .array(let elements)? = value, !elements.isEmpty else {
            throw wrong("runs", value ?? .null, "an array of runs")
        }
        var runs: [RunResult.Run] = []
        for element in elements {
            func text(_ key: String) throws(ResultRefusal) -> String {
                guard case .string(let text)? = element[key] else {
                    throw wrong("runs.\(key)", element[key] ?? .null, "a string")
                }
                return text
            }
            func moment(_ key: String) throws(ResultRefusal) -> WallClock {
                let text = try text(key)
                guard let moment = try? WallClock(parsing: text) else {
                    throw wrong("runs.\(key)", .string(text), "an RFC 3339 time")
                }
                return moment
            }
            runs.append(
                RunResult.Run(
                    id: try text("id"), tool: try text("tool"), host: try text("host"),
                    command: try texts(element["command"] ?? .array([]), "runs.command"),
                    began: try moment("began"), ended: try moment("ended")))
        }
        return runs
    }

    func texts(_ value: ResultValue, _ path: String) throws(ResultRefusal) -> [String] {
        guard case .array(let elements) = value else { throw wrong(path, value, "an array") }
        var texts: [String] = []
        for element in elements {
            guard case .string(let text) = element else { throw wrong(path, element, "a string") }
            texts.append(text)
        }
        return texts
    }

    func texts(
        of value: ResultValue?, _ path: String
    ) throws(ResultRefusal) -> [String: String] {
        var texts: [String: String] = [:]
        for member in value?.members ?? [] {
            guard case .string(let text) = member.value else {
                throw wrong("\(path).\(member.key)", member.value, "a string")
            }
            texts[member.key] = text
        }
        return texts
    }

    func measures(
        _ figures: [Figure], in value: ResultValue, _ path: String
    ) throws(ResultRefusal) -> [String: Measure] {
        guard value.members != nil else { throw wrong(path, value, "an object") }
        var measures: [String: Measure] = [:]
        for figure in figures {
            let found = value[figure.key] ?? .null
            let here = "\(path).\(figure.key)"
            if figure.hasBounds {
                measures[figure.key] = Measure(
                    try part(found["value"] ?? .null, figure, here),
                    least: try part(found["least"] ?? .null, figure, here),
                    most: try part(found["most"] ?? .null, figure, here))
            } else {
                measures[figure.key] = Measure(try part(found, figure, here))
            }
        }
        return measures
    }

    private func part(
        _ value: ResultValue, _ figure: Figure, _ path: String
    ) throws(ResultRefusal) -> Measure.Value? {
        if value == .null { return nil }
        switch (figure.unit, value) {
        case (.count, .integer(let number)): return .integer(number)
        case (.text, .string(let text)): return .text(text)
        case (.flag, .bool(let flag)): return .flag(flag)
        case (.moment, .string(let text)):
            if let moment = try? WallClock(parsing: text) { return .moment(moment) }
        case (.bytes, .integer(let number)): return .integer(number)
        case (.milliseconds, _), (.seconds, _), (.perSecond, _), (.share, _), (.bytes, _):
            if let number = value.double { return .number(number) }
        default: break
        }
        throw wrong(path, value, figure.unit.words)
    }

    func rows(
        _ breakdown: ResultKind.Breakdown, _ value: ResultValue
    ) throws(ResultRefusal) -> [String: [String: Measure]] {
        let path = "breakdowns.\(breakdown.key)"
        guard case .array(let elements) = value else { throw wrong(path, value, "an array") }
        var rows: [String: [String: Measure]] = [:]
        for element in elements {
            guard case .string(let label)? = element["\(breakdown.label)"] else {
                throw wrong("\(path).\(breakdown.label)", element, "an object with a name")
            }
            let row = try measures(breakdown.columns, in: element, path)
            guard rows.updateValue(row, forKey: label) == nil else {
                throw ResultRefusal(name, "'\(path)' has '\(label)' twice")
            }
        }
        return rows
    }
}

extension Figure.Unit {
    /// What a reader expects.
    var words: String {
        switch self {
        case .count: "a whole number"
        case .milliseconds, .seconds, .bytes, .perSecond, .share: "a number"
        case .moment: "an RFC 3339 time"
        case .text: "a string"
        case .flag: "true or false"
        }
    }
}
