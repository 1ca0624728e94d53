import Telemetry

/// What is wrong with one member of a document.
struct RuleError: Error {
    let reason: String
    var isMismatch = false

    static func missing(_ path: String) -> RuleError {
        RuleError(reason: "lacks '\(path)', perhaps because another version wrote it")
    }

    static func wrong(_ path: String, _ value: ResultValue, expected: String) -> RuleError {
        RuleError(reason: "'\(path)' is \(value.words): expected \(expected)")
    }
}

/// The rules at work.
extension ResultTable.Rule {
    /// Whether it needs nothing of a document but what other rules have merged.
    var isComputed: Bool {
        switch self {
        case .imbalance, .jainIndex, .share: true
        default: false
        }
    }

    /// - Parameter merged: of the documents before; nil for the first.
    /// - Returns: what stands for all of them; of a histogram's object, only the histogram.
    func merge(
        _ merged: ResultValue?, _ value: ResultValue, path: String
    ) throws(RuleError) -> ResultValue {
        switch self {
        case .sum: return try Self.sum(merged, value, path)
        case .largest:
            guard value == .null || value.double != nil else {
                throw .wrong(path, value, expected: "a number")
            }
            guard let merged, merged != .null, value != .null else {
                return merged == .null ? .null : value
            }
            return (merged.double ?? 0) >= (value.double ?? 0) ? merged : value
        case .same:
            guard merged == nil || merged == value else {
                throw RuleError(reason: "'\(path)' is \(value.words)", isMismatch: true)
            }
            return value
        case .agreed: return merged == nil || merged == value ? value : .null
        case .sums:
            guard let counts = value.members else {
                throw .wrong(path, value, expected: "an object of counts")
            }
            return try Self.sums(merged?.members ?? [], counts, path)
        case .histogram:
            guard case .histogram(var histogram)? = value["histogram"] else {
                throw .missing("\(path).histogram")
            }
            if case .histogram(let before)? = merged { histogram.merge(before) }
            return .histogram(histogram)
        case .keyed(let key, let members):
            guard case .array(let elements) = value else {
                throw .wrong(path, value, expected: "an array")
            }
            return try Self.keyed(merged, elements, key, members, path)
        case .imbalance, .jainIndex, .share: return .null
        }
    }

    private static func sum(
        _ merged: ResultValue?, _ value: ResultValue, _ path: String
    ) throws(RuleError) -> ResultValue {
        guard value == .null || value.double.map({ $0 >= 0 }) ?? false else {
            throw .wrong(path, value, expected: "a number of at least zero")
        }
        guard let merged, merged != .null, value != .null else {
            return merged == .null ? .null : value
        }
        guard case .integer(let a) = merged, case .integer(let b) = value else {
            return .number((merged.double ?? 0) + (value.double ?? 0))
        }
        let (sum, overflow) = a.addingReportingOverflow(b)
        guard !overflow else { throw .wrong(path, value, expected: "a smaller number") }
        return .integer(sum)
    }

    private static func sums(
        _ merged: [ResultValue.Member], _ counts: [ResultValue.Member], _ path: String
    ) throws(RuleError) -> ResultValue {
        var merged = merged
        for count in counts {
            let place = merged.firstIndex { $0.key == count.key }
            let total = try sum(
                place.map { merged[$0].value }, count.value, "\(path).\(count.key)")
            if let place {
                merged[place].value = total
            } else {
                merged.append(.init(key: count.key, value: total))
            }
        }
        return .object(merged)
    }

    private static func keyed(
        _ merged: ResultValue?, _ elements: [ResultValue], _ key: String,
        _ members: [ResultTable.Member], _ path: String
    ) throws(RuleError) -> ResultValue {
        var all: [ResultValue] = []
        if case .array(let before)? = merged { all = before }
        var places: [String: Int] = [:]
        for (place, element) in all.enumerated() {
            if case .string(let name)? = element[key] { places[name] = place }
        }
        for element in elements {
            guard case .string(let name)? = element[key] else {
                throw .wrong(path, element, expected: "objects with the string '\(key)'")
            }
            let before = places[name].map { all[$0] }
            var fields = [ResultValue.Member(key: key, value: .string(name))]
            for member in members where !member.rule.isComputed {
                let path = "\(path).\(member.name)"
                guard let value = element[member.name] else { throw .missing(path) }
                let total = try member.rule.merge(before?[member.name], value, path: path)
                fields.append(.init(key: member.name, value: total))
            }
            if let place = places[name] {
                all[place] = .object(fields)
            } else {
                places[name] = all.count
                all.append(.object(fields))
            }
        }
        return .array(all)
    }

    // MARK: - Results

    /// What the merged document has.
    /// - Parameters:
    ///   - value: what ``merge(_:_:path:)`` made of the documents.
    ///   - siblings: the same of all members.
    func result(_ value: ResultValue, in siblings: [String: ResultValue]) -> ResultValue {
        switch self {
        case .sum, .largest, .same, .agreed, .sums: return value
        case .histogram(let statistics): return Self.statistics(value, statistics)
        case .keyed(let key, let members):
            guard case .array(let elements) = value else { return value }
            return .array(elements.map { Self.element($0, key, members, among: elements) })
        case .imbalance(let array, let count, let fair):
            return .optional(Evenness.imbalance(Self.portions(siblings[array], count, fair)))
        case .jainIndex(let array, let count, let fair):
            return .optional(Evenness.jainIndex(Self.portions(siblings[array], count, fair)))
        case .share: return .null
        }
    }

    private static func portions(
        _ array: ResultValue?, _ count: String, _ fair: String
    ) -> [Evenness.Portion] {
        Array(zip(counts(array, count), counts(array, fair)))
    }

    private static func counts(_ array: ResultValue?, _ count: String) -> [Double] {
        guard case .array(let elements)? = array else { return [] }
        return elements.map { $0[count]?.double ?? 0 }
    }

    private static func statistics(
        _ value: ResultValue, _ statistics: [(name: String, ResultTable.Statistic)]
    ) -> ResultValue {
        guard case .histogram(let histogram) = value else { return value }
        var members = statistics.map { name, statistic in
            ResultValue.Member(key: name, value: statistic.value(of: histogram))
        }
        members.append(.init(key: "histogram", value: value))
        return .object(members)
    }

    private static func element(
        _ element: ResultValue, _ key: String, _ members: [ResultTable.Member],
        among all: [ResultValue]
    ) -> ResultValue {
        var fields = [ResultValue.Member(key: key, value: element[key] ?? .null)]
        for member in members {
            var value = element[member.name] ?? .null
            if case .share(let count) = member.rule {
                let total = counts(.array(all), count).reduce(0, +)
                let part = element[count]?.double ?? 0
                value = .optional(total > 0 ? part / total : nil)
            }
            fields.append(.init(key: member.name, value: value))
        }
        return .object(fields)
    }
}

extension ResultTable.Statistic {
    func value(of histogram: LatencyHistogram) -> ResultValue {
        switch self {
        case .count: .integer(Int64(clamping: histogram.count))
        case .mean: .optional(histogram.mean?.inMilliseconds)
        case .maximum: .optional(histogram.maximum?.inMilliseconds)
        case .percentile(let percent): .optional(histogram.percentile(percent)?.inMilliseconds)
        case .relativeError: .number(LatencyHistogram.relativeError)
        }
    }
}

extension ResultValue {
    static func optional(_ value: Double?) -> ResultValue { value.map { .number($0) } ?? .null }
}
