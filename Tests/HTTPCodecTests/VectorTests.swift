import HTTPCodec
import Pacing
import Testing

@Suite struct VectorTests {
    @Test(
        "a request vector comes out as written, however it is split", arguments: VectorFile.requests
    )
    func request(vector: Vector) {
        let showsFields = vector.expected.contains { $0.hasPrefix("field ") }
        for pieces in Self.splits(of: vector.bytes) {
            let transcript = Transcript.requests(
                pieces, closes: vector.closes, limits: vector.limits, fields: showsFields)
            #expect(
                transcript == vector.expected,
                "line \(vector.line), in \(pieces.count) pieces: \(pieces.map(\.count))")
        }
    }

    @Test(
        "a response vector comes out as written, however it is split",
        arguments: VectorFile.responses)
    func response(vector: Vector) {
        let showsFields = vector.expected.contains { $0.hasPrefix("field ") }
        for pieces in Self.splits(of: vector.bytes) {
            let transcript = Transcript.responses(
                pieces, to: vector.requestMethod ?? .get, closes: vector.closes,
                limits: vector.limits, fields: showsFields)
            #expect(
                transcript == vector.expected,
                "line \(vector.line), in \(pieces.count) pieces: \(pieces.map(\.count))")
        }
    }

    @Test("there are enough vectors, and every one says what it expects")
    func enough() {
        let all = VectorFile.requests + VectorFile.responses
        #expect(all.count >= 150)
        #expect(all.allSatisfy { !$0.expected.isEmpty && !$0.bytes.isEmpty })
        #expect(Set(all.map(\.name)).count == all.count, "two vectors share a name")
    }

    @Test("every reason for refusing bytes has a vector")
    func everyReason() {
        let seen = (VectorFile.requests + VectorFile.responses).flatMap(\.expected)
        for reason in HTTPCodecError.Reason.allCases {
            #expect(seen.contains { $0.hasPrefix("error \(reason.rawValue) ") }, "\(reason)")
        }
    }

    /// Whole, byte by byte, in two at every place, and in random pieces.
    static func splits(of bytes: [UInt8]) -> [[[UInt8]]] {
        var splits = [[bytes]]
        // Long ones exist for their limits; byte by byte they take too long without telling more.
        if bytes.count <= 4_000 { splits.append(bytes.map { [$0] }) }
        let step = max(1, bytes.count / 50)
        for cut in stride(from: 1, to: bytes.count, by: step) {
            splits.append([Array(bytes[..<cut]), Array(bytes[cut...])])
        }
        var random = SeededRandom(seed: UInt64(bytes.count))
        for _ in 0..<4 { splits.append(randomPieces(of: bytes, &random)) }
        return splits
    }

    static func randomPieces(of bytes: [UInt8], _ random: inout SeededRandom) -> [[UInt8]] {
        var pieces: [[UInt8]] = []
        var start = 0
        while start < bytes.count {
            let longest = Bool.random(using: &random) ? 5 : 60
            let end = min(bytes.count, start + Int.random(in: 1...longest, using: &random))
            pieces.append(Array(bytes[start..<end]))
            start = end
        }
        return pieces
    }
}
