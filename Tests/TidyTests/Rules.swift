/// Lengths that keep a file readable in one go.
enum Limit {
    static let fileLines = 450
    static let functionLines = 60
    static let lineColumns = 100
}

/// Fails on a file or a line that is too long; for any text, not only Swift.
func lengthFindings(_ source: SourceText) -> [Finding] {
    var findings: [Finding] = []
    if source.lines.count > Limit.fileLines {
        let what = "\(source.lines.count) lines; a file has at most \(Limit.fileLines)"
        findings.append(source.finding(line: Limit.fileLines, what))
    }
    for (index, line) in source.lines.enumerated() where line.count > Limit.lineColumns {
        let what = "\(line.count) columns; a line has at most \(Limit.lineColumns)"
        findings.append(source.finding(line: index, what))
    }
    return findings
}

/// Fails on a body that is too long: function, initializer, subscript or computed property.
func functionFindings(_ source: SourceText) -> [Finding] {
    source.bodies.compactMap { body in
        let count = body.lines.count
        guard count > Limit.functionLines else { return nil }
        let what = "\(body.name) has \(count) lines; at most \(Limit.functionLines)"
        return source.finding(line: body.lines.lowerBound, what)
    }
}

/// Fails on what traps on outside data or switches the compiler's checks off.
func forbiddenFindings(_ source: SourceText) -> [Finding] {
    let words = ["try!", "as!", "nonisolated(unsafe)", "unowned(unsafe)", "unsafeFlags"]
    var findings: [Finding] = []
    for (index, line) in source.code.enumerated() {
        for word in words where line.containsWord(word) {
            findings.append(source.finding(line: index, "\(word) is not used here"))
        }
        let above = index == 0 ? "" : source.lines[index - 1]
        if line.contains("@unchecked"), !above.contains("//"), !source.lines[index].contains("//") {
            findings.append(source.finding(line: index, "@unchecked needs its reason above it"))
        }
    }
    return findings
}

/// Fails where a pure file reads a clock, draws from the system's random numbers, or prints.
func purityFindings(_ source: SourceText) -> [Finding] {
    guard Rooms.isPure(source.path) else { return [] }
    let words = [
        "ContinuousClock", "SuspendingClock", "SystemRandomNumberGenerator", "Task", "print",
        "randomElement()", "shuffled()", "shuffle()",
    ]
    return source.code.enumerated().flatMap { index, line in
        words.filter { line.containsWord($0) }.map {
            source.finding(line: index, "a pure file may not use \($0)")
        }
    }
}

/// Fails on a public declaration that nobody explained.
///
/// Operators and the members that well-known protocols ask for say all by their names.
func commentFindings(_ source: SourceText) -> [Finding] {
    let declaration = /^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:public|open)\s+(.*)/
    let wordsBeforeName: Set<Substring> = [
        "actor", "class", "convenience", "enum", "final", "func", "indirect", "lazy", "let",
        "mutating", "nonisolated", "override", "private(set)", "protocol", "required", "static",
        "struct", "typealias", "unowned", "var", "weak",
    ]
    let plain: Set<Substring> = ["description", "debugDescription", "hash", "next", "makeIterator"]
    return source.code.indices.compactMap { index in
        guard let match = source.code[index].firstMatch(of: declaration) else { return nil }
        let words = match.1.split(separator: " ")
        guard let rest = words.first(where: { !wordsBeforeName.contains($0) }) else { return nil }
        let name = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "`" }
        let isKnown = name.isEmpty || plain.contains(name)
        if isKnown || name == "extension" || name == "import" { return nil }
        return source.hasComment(above: index)
            ? nil : source.finding(line: index, "public \(name) has no doc comment")
    }
}

extension SourceText {
    fileprivate func hasComment(above index: Int) -> Bool {
        for line in lines[..<index].reversed() {
            let text = line.drop { $0 == " " }
            if text.hasPrefix("@") { continue }  // an attribute on a line of its own
            return text.hasPrefix("///") || text.hasSuffix("*/")
        }
        return false
    }
}

extension Substring {
    /// Whether `word` stands here and is not part of a longer name.
    fileprivate func containsWord(_ word: String) -> Bool {
        ranges(of: word).contains { range in
            let before = self[..<range.lowerBound].last
            let after = self[range.upperBound...].first
            let isName = { (c: Character?) in c.map { $0.isLetter || $0.isNumber || $0 == "_" } }
            return isName(before) != true
                && (isName(word.last) != true || isName(after) != true)
        }
    }
}

/// Fails on code in an article that stands in no test: what is printed there must build and run.
///
/// - Parameter tests: in which each block of code stands line by line, indentation and empty lines
///   aside.
func articleFindings(_ article: SourceText, tests: [SourceText]) -> [Finding] {
    func essence(_ lines: some Sequence<Substring>) -> [String] {
        lines.map { line in
            String(line.drop { $0 == " " })
        }.filter { !$0.isEmpty }
    }
    let built = tests.map { "\n" + essence($0.lines).joined(separator: "\n") + "\n" }
    var findings: [Finding] = []
    var opening: Int?
    for (index, line) in article.lines.enumerated() where line.hasPrefix("```") {
        guard let start = opening else {
            opening = index
            continue
        }
        opening = nil
        let code = essence(article.lines[(start + 1)..<index]).joined(separator: "\n")
        if !built.contains(where: { $0.contains("\n" + code + "\n") }) {
            findings.append(article.finding(line: start, "this code stands in no test"))
        }
    }
    return findings
}
