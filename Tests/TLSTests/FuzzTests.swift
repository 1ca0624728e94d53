import Pacing
import TLS
import Testing

@Suite struct FuzzTests {
    let certificates: Certificates

    init() throws { certificates = try Certificates.shared() }

    /// Both flights of a handshake with one byte changed, dropped or added, or cut short, at every
    /// place: whoever receives it ends in a known state, and says so once.
    @Test(arguments: [TLSConfiguration.Version.tls12, .tls13])
    func `Garbage at every byte of a handshake`(version: TLSConfiguration.Version) throws {
        let client = try certificates.client { $0.versions = version...version }
        let server = try certificates.server()
        var random = SeededRandom(seed: 12)
        let whole = try Pair(client: client, server: server)
        var sizes = [0, 0]
        whole.tamper = { isFromClient, bytes in
            sizes[isFromClient ? 0 : 1] += bytes.count
            return bytes
        }
        whole.handshake()
        var survived = 0
        for _ in 0..<FuzzTests.rounds / 1_000 {
            for isFromClient in [true, false] {
                for position in 0..<sizes[isFromClient ? 0 : 1] {
                    let pair = try Pair(client: client, server: server)
                    pair.piece = random.next() % 4 == 0 ? Int(random.next() % 50) + 1 : .max
                    let kind = random.next() % 4
                    let change = UInt8(truncatingIfNeeded: random.next() | 1)
                    var passed = 0
                    pair.tamper = { side, bytes in
                        guard side == isFromClient else { return bytes }
                        defer { passed += bytes.count }
                        let index = position - passed
                        guard bytes.indices.contains(index) else { return bytes }
                        var changed = bytes
                        switch kind {
                        case 0: changed[index] ^= change
                        case 1: changed.remove(at: index)
                        case 2: changed.insert(change, at: index)
                        default: changed.removeSubrange(index...)
                        }
                        return changed
                    }
                    pair.handshake()
                    for end in [pair.client, pair.server] {
                        end.inputEnded()
                        check(end)
                    }
                    if pair.client.failure == nil { survived += 1 }
                }
            }
        }
        // A byte that nothing protects would be one too many: what is left open are cuts behind
        // the last byte that the client needs.
        #expect(survived < (sizes[0] + sizes[1]) * FuzzTests.rounds / 1_000)
        #expect(sizes[0] > 200 && sizes[1] > 500)
    }

    @Test func `Random bytes are no handshake`() throws {
        let client = try certificates.client()
        let server = try certificates.server()
        var random = SeededRandom(seed: 7)
        for _ in 0..<FuzzTests.rounds {
            let pair = try Pair(client: client, server: server)
            let count = Int(random.next() % 300)
            var bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            if random.next() % 2 == 0, count > 5 {
                // A plausible record around it.
                bytes.replaceSubrange(
                    0..<5, with: [20 + bytes[0] % 4, 3, 3, 0, UInt8(clamping: count - 5)])
            }
            for end in [pair.client, pair.server] {
                end.start()
                end.receive(bytes)
                end.inputEnded()
                check(end)
                #expect(end.session == nil)
            }
        }
    }

    /// Many more in an optimized build.
    static var rounds: Int {
        #if DEBUG
        2_000
        #else
        50_000
        #endif
    }

    private func check(_ end: Pair.End) {
        let failures = end.actions.count { if case .failed = $0 { true } else { false } }
        #expect(failures <= 1)
        if failures == 1 { #expect(end.failure?.kind != .configuration) }
        if end.failure == nil { #expect(end.session != nil || end.actions.contains(.peerClosed)) }
    }
}
