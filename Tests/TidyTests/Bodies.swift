extension SourceText {
    /// The bodies of functions, initializers, subscripts and computed properties, found by matching
    /// braces: the range runs from the keyword's line to the closing brace's.
    var bodies: [(name: String, lines: Range<Int>)] {
        let tokens = self.tokens
        return tokens.indices.compactMap { index in
            let token = tokens[index]
            guard ["func", "init", "deinit", "subscript", "var"].contains(token.text),
                index == 0 || tokens[index - 1].text != ".",
                let opening = openingBrace(of: index, in: tokens),
                let last = closingLine(from: opening, in: tokens)
            else { return nil }
            let hasName = token.text == "func" || token.text == "var"
            let name = hasName ? tokens[index + 1].text : token.text
            return (name, token.line..<(last + 1))
        }
    }

    private typealias Token = (text: String, line: Int)

    /// Names whole, every other character for itself.
    private var tokens: [Token] {
        code.enumerated().flatMap { line, text in
            text.matches(of: /\w+|[^\s\w]/).map { (String($0.output), line) }
        }
    }

    /// The brace that opens the body of the declaration at `start`; nil for a declaration without
    /// one, such as a protocol's requirement or a stored property.
    private func openingBrace(of start: Int, in tokens: [Token]) -> Int? {
        let nextDeclaration: Set<String> = [
            "case", "class", "deinit", "enum", "extension", "fileprivate", "final", "func", "init",
            "internal", "let", "mutating", "private", "public", "static", "struct", "subscript",
            "typealias", "var",
        ]
        var depth = 0
        for index in tokens.indices[(start + 1)...] {
            let token = tokens[index]
            switch token.text {
            case "(", "[": depth += 1
            case ")", "]": depth -= 1
            case "{" where depth == 0: return index
            case "}" where depth == 0: return nil
            case _ where depth == 0 && nextDeclaration.contains(token.text): return nil
            default: break
            }
            // A property that goes on below its line is a stored one with a long value.
            if tokens[start].text == "var", depth == 0, token.line > tokens[start].line {
                return nil
            }
        }
        return nil
    }

    private func closingLine(from opening: Int, in tokens: [Token]) -> Int? {
        var depth = 0
        for token in tokens[opening...] {
            if token.text == "{" { depth += 1 }
            if token.text == "}" { depth -= 1 }
            if depth == 0 { return token.line }
        }
        return nil
    }
}
