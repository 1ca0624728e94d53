import JSONCodec

/// Merges the result documents of several pods into one of the same kind.
///
/// Counters are added and histograms merged bucket by bucket, so that the result's percentiles are
/// what one process would have found that had recorded everything; shares and indexes are computed
/// anew. What the kind's table does not have is left out, and named. The merged document is of the
/// same kind and may be merged again.
public struct ResultMerge: Sendable {
    /// Why a document cannot be merged.
    public struct Refusal: Error, Sendable, CustomStringConvertible {
        /// The document, as the caller named it.
        public let document: String
        /// What is wrong with it, and where.
        public let reason: String
        /// Whether the document is good in itself, but does not go with those before it.
        public let isMismatch: Bool

        /// One line for a person.
        public var description: String { "\(document): \(reason)" }
    }

    private let tables: [ResultTable]
    private var table: ResultTable?
    private var firstName = ""
    private var merged: [String: ResultValue] = [:]
    /// How many results are in it; a merged document counts as those in it.
    public private(set) var count = 0
    /// What the documents had and the result has not.
    private var omitted: [String] = []
    private var rows: [(name: String, document: ResultValue)] = []

    /// Members that every document may have and that are dealt with here.
    private static let own = ["kind", "merged", "notmerged"]

    /// - Parameter tables: the kinds that can be merged.
    public init(tables: [ResultTable]) { self.tables = tables }

    /// Adds one document, wholly or not at all.
    /// - Parameter name: for messages and the table, such as the file's.
    public mutating func add(
        _ bytes: UnsafeRawBufferPointer, name: String
    ) throws(Refusal) {
        func refusal(_ reason: String, isMismatch: Bool = false) -> Refusal {
            Refusal(document: name, reason: reason, isMismatch: isMismatch)
        }
        let document: ResultValue
        do throws(JSONError) {
            document = try ResultValue(document: bytes)
        } catch {
            throw refusal("not a whole JSON document: \(error)")
        }
        guard case .string(let kind)? = document["kind"] else {
            throw refusal("not a result: it has no member 'kind'")
        }
        guard let table = tables.first(where: { $0.kind == kind }) else {
            let known = tables.map { "'\($0.kind)'" }.joined(separator: ", ")
            throw refusal("results of the kind '\(kind)' cannot be merged; expected \(known)")
        }
        if let before = self.table, before.kind != kind {
            throw refusal(
                "is of the kind '\(kind)', but \(firstName) of '\(before.kind)'", isMismatch: true)
        }
        var next = merged
        for member in table.members where !member.rule.isComputed {
            do throws(RuleError) {
                guard let value = document[member.name] else { throw .missing(member.name) }
                next[member.name] = try member.rule.merge(
                    next[member.name], value, path: member.name)
            } catch {
                throw refusal(
                    error.reason + (error.isMismatch ? ", unlike \(firstName)" : ""),
                    isMismatch: error.isMismatch)
            }
        }
        if self.table == nil { (self.table, firstName) = (table, name) }
        merged = next
        noteOmitted(document, table)
        if case .integer(let number)? = document["merged"], number > 1 {
            count += Int(clamping: number)
        } else {
            count += 1
        }
        rows.append((name, ResultMerge.excerpt(document, table)))
    }

    private mutating func noteOmitted(_ document: ResultValue, _ table: ResultTable) {
        func note(_ name: String) {
            if !omitted.contains(name) { omitted.append(name) }
        }
        for member in document.members ?? [] where !ResultMerge.own.contains(member.key) {
            guard let known = table.members.first(where: { $0.name == member.key }) else {
                note(member.key)
                continue
            }
            guard case .keyed(let key, let fields) = known.rule,
                case .array(let elements) = member.value
            else { continue }
            let names = Set(fields.map(\.name) + [key])
            for field in elements.lazy.compactMap(\.members).joined()
            where !names.contains(field.key) {
                note("\(member.key).\(field.key)")
            }
        }
        guard case .array(let earlier)? = document["notmerged"] else { return }
        for case .string(let name) in earlier { note(name) }
    }

    /// Only what the columns show, so that long documents are not kept.
    private static func excerpt(_ document: ResultValue, _ table: ResultTable) -> ResultValue {
        let names = Set(table.columns.compactMap(\.path.first))
        return .object((document.members ?? []).filter { names.contains($0.key) })
    }

    // MARK: - Result

    /// Everything that was merged; an empty object when nothing was.
    var document: ResultValue {
        guard let table else { return .object([]) }
        var members: [ResultValue.Member] = [
            .init(key: "kind", value: .string(table.kind)),
            .init(key: "merged", value: .integer(Int64(count))),
        ]
        for member in table.members {
            members.append(
                .init(
                    key: member.name,
                    value: member.rule.result(merged[member.name] ?? .null, in: merged)))
        }
        members.append(.init(key: "notmerged", value: .array(omitted.map { .string($0) })))
        return .object(members)
    }

    /// The merged document, with a line feed at its end.
    public var json: [UInt8] {
        var writer = JSONWriter()
        document.write(to: &writer)
        return writer.bytes + [UInt8(ascii: "\n")]
    }

    /// For people: the main figures of every document and of all together, and the shares.
    public var text: String {
        guard let table else { return "" }
        return ResultMergeText.text(
            table, rows: rows + [("all \(count)", document)], omitted: omitted)
    }
}
