import JSONCodec
import Telemetry

/// The JSON schema (draft 2020-12) of all kinds of results, made from their declarations.
public struct ResultSchema {
    private let kinds: [ResultKind]

    /// - Parameter kinds: those that it describes.
    public init(_ kinds: [ResultKind]) { self.kinds = kinds }

    /// The document, with a line feed at its end.
    public var json: [UInt8] {
        var members: [ResultValue.Member] = [
            .init(key: "$schema", value: .string("https://json-schema.org/draft/2020-12/schema")),
            .init(key: "title", value: .string("A result of sonde")),
            .init(key: "oneOf", value: .array(kinds.map { Self.reference($0.name) })),
        ]
        members.append(
            .init(
                key: "$defs",
                value: .object(
                    [
                        .init(key: "run", value: Self.run),
                        .init(key: "distribution", value: Self.distribution),
                    ] + kinds.map { .init(key: $0.name, value: Self.kind($0)) })))
        var writer = JSONWriter()
        ResultValue.object(members).write(to: &writer)
        return writer.bytes + [UInt8(ascii: "\n")]
    }

    private static func kind(_ kind: ResultKind) -> ResultValue {
        var members: [(String, ResultValue)] = [
            ("kind", .object([.init(key: "const", value: .string(kind.name))])),
            ("schema", .object([.init(key: "const", value: .integer(Int64(RunResult.schema)))])),
            ("runs", array(of: reference("run"), least: 1)),
            (
                "configuration",
                .object([
                    .init(key: "type", value: .string("object")),
                    .init(key: "additionalProperties", value: type("string")),
                ])
            ),
            ("figures", object(kind.figures.map { ($0.key, figure($0)) })),
        ]
        members.append(
            (
                "breakdowns",
                object(
                    kind.breakdowns.map { breakdown in
                        let row = object(
                            [("\(breakdown.label)", type("string"))]
                                + breakdown.columns.map { ($0.key, figure($0)) })
                        return (breakdown.key, array(of: row, description: breakdown.help))
                    })
            ))
        members.append(
            (
                "distributions",
                object(
                    kind.distributions.map {
                        ($0.key, described(reference("distribution"), $0.help))
                    })
            ))
        members.append(("notes", array(of: type("string"))))
        members.append(("leftout", array(of: type("string"))))
        return described(object(members), kind.title)
    }

    private static var run: ResultValue {
        object([
            (
                "id",
                .object([
                    .init(key: "type", value: .string("string")),
                    .init(key: "pattern", value: .string("^[0-9a-f]{32}$")),
                ])
            ),
            ("tool", type("string")), ("host", type("string")),
            ("command", array(of: type("string"))), ("began", moment), ("ended", moment),
        ])
    }

    private static var distribution: ResultValue {
        let whole = ["count", "sumseconds", "sumnanoseconds"].map { ($0, type("integer")) }
        let bounds = ["minns", "maxns"].map { ($0, type("integer", orNull: true)) }
        let histogram = object(
            [
                (
                    "layout",
                    .object([
                        .init(key: "const", value: .string(LatencyHistogram.layout))
                    ])
                )
            ] + whole + bounds
                + [("buckets", array(of: array(of: type("integer"))))])
        return object(
            Statistic.allCases.map {
                ($0.rawValue, $0 == .count ? type("integer") : type("number", orNull: true))
            } + [("relativeerror", type("number")), ("histogram", histogram)])
    }

    private static func figure(_ figure: Figure) -> ResultValue {
        let help =
            figure.unit == .count || figure.unit == .text || figure.unit == .flag
            ? figure.help : "\(figure.help) (\(figure.unit.rawValue))"
        let value = scalar(figure.unit)
        guard figure.hasBounds else { return described(value, help) }
        return described(object([("value", value), ("least", value), ("most", value)]), help)
    }

    private static func scalar(_ unit: Figure.Unit) -> ResultValue {
        switch unit {
        case .count: return type("integer", orNull: true)
        case .milliseconds, .seconds, .bytes, .perSecond, .share:
            return type("number", orNull: true)
        case .text: return type("string", orNull: true)
        case .flag: return type("boolean", orNull: true)
        case .moment:
            return .object([
                .init(key: "type", value: .array([.string("string"), .string("null")])),
                .init(key: "format", value: .string("date-time")),
            ])
        }
    }

    private static var moment: ResultValue {
        .object([
            .init(key: "type", value: .string("string")),
            .init(key: "format", value: .string("date-time")),
        ])
    }

    private static func type(_ name: String, orNull: Bool = false) -> ResultValue {
        .object([
            .init(
                key: "type",
                value: orNull ? .array([.string(name), .string("null")]) : .string(name))
        ])
    }

    /// All of its members are always there.
    private static func object(_ members: [(String, ResultValue)]) -> ResultValue {
        .object([
            .init(key: "type", value: .string("object")),
            .init(
                key: "properties",
                value: .object(members.map { .init(key: $0.0, value: $0.1) })),
            .init(key: "required", value: .array(members.map { .string($0.0) })),
        ])
    }

    private static func array(
        of items: ResultValue, least: Int64? = nil, description: String? = nil
    ) -> ResultValue {
        var members: [ResultValue.Member] = [
            .init(key: "type", value: .string("array")), .init(key: "items", value: items),
        ]
        if let least { members.append(.init(key: "minItems", value: .integer(least))) }
        let array = ResultValue.object(members)
        return description.map { described(array, $0) } ?? array
    }

    private static func described(_ schema: ResultValue, _ text: String) -> ResultValue {
        .object((schema.members ?? []) + [.init(key: "description", value: .string(text))])
    }

    private static func reference(_ name: String) -> ResultValue {
        .object([.init(key: "$ref", value: .string("#/$defs/\(name)"))])
    }
}
