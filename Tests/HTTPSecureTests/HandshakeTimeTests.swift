import HTTPSecure
import Pacing
import Reactor
import TLS
import Testing

/// The deadline of handshakes, to the nanosecond, in no time.
@Suite struct HandshakeTimeTests {
    let certificates: Certificates

    init() throws { certificates = try Certificates.shared() }

    /// A handshake with a peer that says nothing.
    private final class Silence {
        private(set) var failure: String?
        private(set) var endedAt: Duration?
        private(set) var connection: TLSConnection<MemoryStream>?
        let far: MemoryStream

        init(_ endpoint: TLSEndpoint) throws {
            let (near, far) = MemoryStream.pair(on: endpoint.loop)
            self.far = far
            let began = endpoint.loop.now
            connection = try TLSConnection(over: near, endpoint: endpoint, peer: "silent:443") {
                [weak self] connection, result in
                guard case .failure(let error) = result else { return }
                self?.failure = "\(error)"
                self?.endedAt = connection.loop.now - began
            }
        }
    }

    @Test func `A handshake has its time, and no more`() throws {
        try withVirtualLoop { loop in
            let endpoint = TLSEndpoint(loop: loop, context: try certificates.client())
            let silence = try Silence(endpoint)
            loop.advance(by: .seconds(10) - .nanoseconds(1))
            #expect(silence.failure == nil)
            loop.advance(by: .nanoseconds(1))
            #expect(silence.failure == "no TLS handshake with silent:443 within 10.0 seconds")
            silence.far.close()
            endpoint.close()
        }
    }

    @Test func `An endpoint that closes leaves handshakes under way their deadlines`() throws {
        try withVirtualLoop { loop in
            let endpoint = TLSEndpoint(loop: loop, context: try certificates.client())
            let silences = try (0..<3).map { _ in try Silence(endpoint) }
            endpoint.close()
            // Another's end is not theirs, nor that of one that begins now.
            silences[0].connection?.close()
            loop.advance(by: .seconds(1))
            let late = try Silence(endpoint)
            silences[1].connection?.close()
            loop.advance(by: .seconds(60))
            #expect(silences.map(\.endedAt) == [nil, nil, .seconds(10)])
            #expect(late.endedAt == .seconds(10))
            for silence in silences + [late] { silence.far.close() }
        }
    }
}
