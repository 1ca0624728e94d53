import HTTPCodec
import Pacing
import Testing

/// Mutated vectors: nothing may trap, and the pieces in which bytes come may not matter.
@Suite struct FuzzTests {
    static let count = 20_000

    @Test("mutated requests never trap and never depend on how they were split")
    func requests() {
        var mutator = Mutator(vectors: VectorFile.requests, seed: 9112)
        for round in 0..<Self.count {
            let vector = mutator.next()
            let whole = Transcript.requests(
                [vector.bytes], closes: true, limits: vector.limits, fields: true)
            let pieces = mutator.pieces(of: vector.bytes)
            let split = Transcript.requests(
                pieces, closes: true, limits: vector.limits, fields: true)
            if whole != split {
                Issue.record("round \(round), \(vector.name): \(pieces) \(whole) \(split)")
                return
            }
        }
    }

    @Test("mutated responses never trap and never depend on how they were split")
    func responses() {
        var mutator = Mutator(vectors: VectorFile.responses, seed: 9110)
        for round in 0..<Self.count {
            let vector = mutator.next()
            let method = vector.requestMethod ?? .get
            let whole = Transcript.responses(
                [vector.bytes], to: method, closes: true, limits: vector.limits, fields: true)
            let pieces = mutator.pieces(of: vector.bytes)
            let split = Transcript.responses(
                pieces, to: method, closes: true, limits: vector.limits, fields: true)
            if whole != split {
                Issue.record("round \(round), \(vector.name): \(pieces) \(whole) \(split)")
                return
            }
        }
    }

    @Test("the mutator reaches both acceptance and most reasons for refusal")
    func coverage() {
        var mutator = Mutator(vectors: VectorFile.requests, seed: 1)
        var seen: Set<String> = []
        for _ in 0..<2_000 {
            let vector = mutator.next()
            let lines = Transcript.requests(
                [vector.bytes], closes: true, limits: vector.limits, fields: false)
            for line in lines { seen.insert(line.prefix { $0 != "@" }.description) }
        }
        #expect(seen.filter { $0.hasPrefix("error") }.count >= 25)
        #expect(seen.contains { $0.hasPrefix("request") })
    }
}

/// Draws a vector and changes it: bytes flipped, inserted, removed, doubled or spliced.
private struct Mutator {
    let vectors: [Vector]
    var random: SeededRandom

    /// Bytes that mean something to the parser come up far more often than chance would have it.
    private static let telling: [UInt8] = Array("\r\n\t :;,\0\u{7f}0123456789abcdefXx#[]".utf8)

    init(vectors: [Vector], seed: UInt64) {
        self.vectors = vectors.filter { $0.bytes.count < 700 }
        random = SeededRandom(seed: seed)
    }

    mutating func next() -> Vector {
        var vector = vectors[Int.random(in: 0..<vectors.count, using: &random)]
        for _ in 0..<Int.random(in: 1...4, using: &random) where !vector.bytes.isEmpty {
            mutate(&vector.bytes)
        }
        if vector.bytes.isEmpty { vector.bytes = [13] }
        return vector
    }

    private mutating func mutate(_ bytes: inout [UInt8]) {
        let place = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<6, using: &random) {
        case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes[place] = telling()
        case 2: bytes.insert(telling(), at: place)
        case 3: bytes.remove(at: place)
        case 4:
            let end = min(bytes.count, place + Int.random(in: 1...20, using: &random))
            bytes.insert(contentsOf: Array(bytes[place..<end]), at: place)
        default:
            let other = vectors[Int.random(in: 0..<vectors.count, using: &random)].bytes
            let cut = Int.random(in: 0..<other.count, using: &random)
            bytes = Array(bytes[..<place]) + other[cut...]
        }
    }

    private mutating func telling() -> UInt8 {
        Self.telling[Int.random(in: 0..<Self.telling.count, using: &random)]
    }

    mutating func pieces(of bytes: [UInt8]) -> [[UInt8]] {
        VectorTests.randomPieces(of: bytes, &random)
    }
}
