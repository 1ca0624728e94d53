import JSONCodec
import Pacing
import Testing

@Suite struct VectorTests {
    @Test("there are at least a hundred vectors of either kind together, none of them twice")
    func count() {
        #expect(Vector.all.filter { $0.refusedAt == nil }.count >= 60)
        #expect(Vector.all.filter { $0.refusedAt != nil }.count >= 100)
        #expect(Set(Vector.all.map(\.name)).count == Vector.all.count)
        #expect(Set(Vector.all.map(\.document)).count == Vector.all.count)
    }

    @Test("read whole, each is accepted or refused at its byte", arguments: Vector.all)
    func whole(_ vector: Vector) {
        #expect(pull(vector.document).error?.offset == vector.refusedAt)
    }

    @Test("skipped whole, each has the outcome of being read", arguments: Vector.all)
    func skipped(_ vector: Vector) {
        #expect(skip(vector.document) == pull(vector.document).error)
    }

    @Test("fed byte by byte, each has the same outcome", arguments: Vector.all)
    func byteByByte(_ vector: Vector) {
        let expected = pull(vector.document).error?.withoutPath
        #expect(stream(vector.document) { 1 } == expected)
    }

    @Test("fed in random pieces, each has the same outcome", arguments: Vector.all)
    func randomPieces(_ vector: Vector) {
        let expected = pull(vector.document).error?.withoutPath
        for seed in 0..<50 {
            var random = SeededRandom(seed: UInt64(seed))
            let outcome = stream(vector.document) { Int.random(in: 1...9, using: &random) }
            #expect(outcome == expected, "seed \(seed)")
        }
    }

    @Test("cut short anywhere, an accepted text of containers is refused at its end")
    func truncated() {
        for vector in Vector.all where vector.refusedAt == nil {
            // A number or a text with white space after it is complete before its last byte.
            guard let first = vector.document.first, "[{\"".utf8.contains(first) else { continue }
            for length in 0..<vector.document.count {
                let part = Array(vector.document[..<length])
                #expect(pull(part).error?.offset == length, "\(vector.name), \(length) bytes")
                #expect(skip(part) == pull(part).error, "\(vector.name), \(length) bytes")
            }
        }
    }

    @Test("an error keeps being thrown, whatever is fed after it")
    func sticky() {
        var validator = JSONStreamValidator()
        var errors: [JSONError] = []
        for _ in 0..<3 {
            do throws(JSONError) {
                let bytes: [UInt8] = [0x5D]
                let result = bytes.withUnsafeBytes { bytes in
                    Result<Void, JSONError> { () throws(JSONError) in try validator.feed(bytes) }
                }
                try result.get()
            } catch {
                errors.append(error)
            }
        }
        #expect(errors.count == 3)
        #expect(Set(errors.map(\.description)).count == 1)
        #expect(throws: JSONError.self) { try validator.finish() }
    }
}
