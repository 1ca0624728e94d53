import Foundation
import Testing

@testable import Report

/// The text of a page, or of one chart on it.
func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

func text(_ blocks: Section.Block...) -> String {
    var page = Page(title: "")
    page.sections = [Section("", blocks)]
    return text(page.html)
}

extension String {
    /// How often a literal occurs.
    func count(of part: String) -> Int { components(separatedBy: part).count - 1 }

    /// The values of an attribute, in the order of the page.
    func values(of attribute: String) -> [String] {
        components(separatedBy: " \(attribute)=\"").dropFirst().map {
            String($0.prefix { $0 != "\"" })
        }
    }
}

/// Reads a page as a browser's tokenizer would, and fails on an end tag that closes something else,
/// an attribute without quotes, or a character that must be escaped.
func expectWellFormed(_ page: String, _ location: SourceLocation = #_sourceLocation) {
    var open: [String] = []
    var rest = page[...]
    while let start = rest.firstIndex(of: "<") {
        let between = rest[..<start]
        #expect(!between.contains(">") || open.last == "style", sourceLocation: location)
        guard let end = rest[start...].firstIndex(of: ">") else {
            Issue.record("a tag without an end", sourceLocation: location)
            return
        }
        let tag = rest[rest.index(after: start)..<end]
        rest = rest[rest.index(after: end)...]
        if tag.hasPrefix("!") { continue }
        if tag.hasPrefix("/") {
            #expect(open.popLast() == String(tag.dropFirst()), sourceLocation: location)
            continue
        }
        let form = /[a-zA-Z][a-zA-Z0-9]*( [a-zA-Z][a-zA-Z0-9-]*="[^"<>]*")*/
        #expect(tag.wholeMatch(of: form) != nil, "<\(tag)>", sourceLocation: location)
        let name = String(tag.prefix { $0 != " " })
        if name == "style", let end = rest.range(of: "</style>") { rest = rest[end.lowerBound...] }
        if name != "meta", name != "link" { open.append(name) }
    }
    #expect(open.isEmpty, "\(open)", sourceLocation: location)
}
