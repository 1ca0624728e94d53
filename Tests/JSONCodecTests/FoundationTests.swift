import Foundation
import JSONCodec
import Pacing
import Testing

/// The same documents through Foundation's reader. Where the two differ, it is written here.
@Suite struct FoundationTests {
    @Test("accepted vectors have the values that Foundation finds", arguments: Vector.all)
    func vectors(_ vector: Vector) {
        guard case .accepted(let tree) = pull(vector.document), !isOfOtherEncoding(vector.document)
        else { return }
        guard let theirs = foundation(vector.document) else {
            Issue.record("refused by Foundation: \(vector.name)")
            return
        }
        #expect(agree(tree, theirs), "\(theirs)")
    }

    @Test("refused vectors are refused by Foundation, the known differences aside")
    func refusals() {
        let accepted = Vector.all.filter { $0.refusedAt != nil && foundation($0.document) != nil }
        #expect(Set(accepted.map(\.name)) == Self.lenience)
    }

    /// What Foundation accepts and RFC 8259 does not, or leaves open and we refuse: a comma before
    /// a closing bracket, the byte-order mark of UTF-8, and other encodings by their marks.
    private static let lenience: Set<String> = [
        "structure: a comma at the end of an array", "structure: a comma at the end of an object",
        "structure: a byte-order mark", "structure: UTF-16",
    ]

    @Test("changed at random, documents are accepted and refused alike")
    func mutations() {
        let seeds = Vector.all.map(\.document)
        var random = SeededRandom(seed: 8259)
        var accepted = 0
        for round in 0..<20_000 {
            var document = seeds[Int.random(in: 0..<seeds.count, using: &random)]
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                mutate(&document, seeds, &random)
            }
            let ours = pull(document)
            #expect(skip(document) == ours.error, "round \(round)")
            if round % 10 == 0 {
                let streamed = stream(document) { Int.random(in: 1...7, using: &random) }
                #expect(streamed == ours.error?.withoutPath, "round \(round)")
            }
            guard !isOfOtherEncoding(document), !isCommaBeforeEnd(ours.error) else { continue }
            let theirs = foundation(document)
            if case .accepted(let tree) = ours, !tree.hasOverflow {
                accepted += 1
                #expect(theirs.map { agree(tree, $0) } == true, "round \(round): \(show(document))")
            } else {
                #expect(theirs == nil, "round \(round): \(show(document))")
            }
        }
        #expect(accepted > 500, "the changes leave too few documents whole: \(accepted)")
    }

    @Test("decimals of any length and size become the doubles that the C library finds")
    func decimals() {
        var random = SeededRandom(seed: 754)
        for _ in 0..<50_000 {
            let digits = (0..<Int.random(in: 1...24, using: &random)).map { _ in
                String(Int.random(in: 0...9, using: &random))
            }
            var text = "\(Int.random(in: 1...9, using: &random))." + digits.joined()
            if random.next() & 1 == 0 { text += "e\(Int.random(in: -330...310, using: &random))" }
            text.bytes.withUnsafeBytes { bytes in
                var json = JSONReader(bytes)
                let ours = (try? json.readDouble()) ?? .infinity
                #expect(ours.bitPattern == strtod(text, nil).bitPattern, "\(text)")
            }
        }
    }

    @Test("documents made at random are read as Foundation reads them")
    func generated() {
        var random = SeededRandom(seed: 71)
        for round in 0..<500 {
            var json = JSONWriter(escapesHTML: round % 2 == 0)
            writeValue(&json, depth: 0, &random)
            guard case .accepted(let tree) = pull(json.bytes) else {
                Issue.record("refused: \(show(json.bytes))")
                continue
            }
            let theirs = foundation(json.bytes)
            #expect(theirs.map { agree(tree, $0) } == true, "\(show(json.bytes))")
        }
    }

    /// Zero bytes among the first four, and the marks of UTF-16, make Foundation take the document
    /// for another encoding; a UTF-8 mark it skips, also at the start of a string.
    private func isOfOtherEncoding(_ document: [UInt8]) -> Bool {
        document.prefix(4).contains(0) || show(document).unicodeScalars.contains("\u{FEFF}")
            || document.starts(with: [0xFF, 0xFE]) || document.starts(with: [0xFE, 0xFF])
    }

    private func isCommaBeforeEnd(_ error: JSONError?) -> Bool {
        error?.expected == "a value" && error?.found == "']'"
            || error?.expected == "a key in quotes" && error?.found == "'}'"
    }

    private func foundation(_ document: [UInt8]) -> Any? {
        try? JSONSerialization.jsonObject(with: Data(document), options: [.fragmentsAllowed])
    }

    private func agree(_ ours: Tree, _ theirs: Any) -> Bool {
        switch (ours, theirs) {
        case (.null, is NSNull): return true
        case (.string(let ours), let theirs as String):
            return Array(ours.utf8) == Array(theirs.utf8)
        case (.bool(let ours), let theirs as Bool): return ours == theirs
        case (.integer(let ours), let theirs as NSNumber): return theirs.int64Value == ours
        case (.double(let ours), let theirs as NSDecimalNumber):
            // Foundation keeps some numbers in decimal; its way from there to a double is inexact.
            return abs(theirs.doubleValue - ours) <= abs(ours) * 1e-14
        case (.double(let ours), let theirs as NSNumber): return theirs.doubleValue == ours
        case (.array(let ours), let theirs as [Any]):
            return ours.count == theirs.count && zip(ours, theirs).allSatisfy { agree($0, $1) }
        case (.object(let ours), let theirs as [String: Any]):
            // Which of two equal keys wins is nobody's rule; strings compare by how they look.
            guard Set(ours.map(\.key)).count == ours.count else { return true }
            return ours.count == theirs.count
                && ours.allSatisfy { member in
                    theirs[member.key].map { agree(member.value, $0) } == true
                }
        default: return false
        }
    }

    private func mutate(_ document: inout [UInt8], _ seeds: [[UInt8]], _ random: inout SeededRandom)
    {
        let place = Int.random(in: 0...document.count, using: &random)
        let syntax = Array(#"{}[]:,"\/-+.0123456789eEtrufalsn "#.utf8) + [0x0A, 0x80, 0xC3, 0xED]
        let byte = syntax[Int.random(in: 0..<syntax.count, using: &random)]
        switch Int.random(in: 0..<5, using: &random) {
        case 0: document.insert(byte, at: place)
        case 1 where place < document.count: document[place] = byte
        case 2 where place < document.count: document.remove(at: place)
        case 3 where place < document.count:
            document[place] = UInt8.random(in: 0...255, using: &random)
        default:
            let other = seeds[Int.random(in: 0..<seeds.count, using: &random)]
            document.insert(contentsOf: other, at: place)
        }
    }

    private func writeValue(_ json: inout JSONWriter, depth: Int, _ random: inout SeededRandom) {
        switch Int.random(in: depth > 5 ? 2..<7 : 0..<7, using: &random) {
        case 0:
            json.beginObject()
            for index in 0..<Int.random(in: 0..<6, using: &random) {
                json.key("\(index)" + text(&random))
                writeValue(&json, depth: depth + 1, &random)
            }
            json.endObject()
        case 1:
            json.beginArray()
            for _ in 0..<Int.random(in: 0..<6, using: &random) {
                writeValue(&json, depth: depth + 1, &random)
            }
            json.endArray()
        case 2: json.string(text(&random))
        case 3: json.integer(Int64(bitPattern: random.next()))
        case 4: json.double(Double(bitPattern: random.next()))
        case 5: json.bool(random.next() & 1 == 0)
        default: json.null()
        }
    }

    private func text(_ random: inout SeededRandom) -> String {
        var scalars = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: 0..<40, using: &random) {
            let limit: UInt32 = random.next() & 3 == 0 ? 0x11_0000 : 0x80
            if let scalar = Unicode.Scalar(UInt32.random(in: 0..<limit, using: &random)) {
                scalars.append(scalar)
            }
        }
        return String(scalars)
    }

    private func show(_ document: [UInt8]) -> String { String(decoding: document, as: UTF8.self) }
}
