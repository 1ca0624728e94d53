import TLS
import Testing

/// What a client that reads its files again forgets.
@Suite struct ReloadTests {
    let certificates: Certificates

    init() throws { certificates = try Certificates.shared() }

    @Test(arguments: [TLSConfiguration.Version.tls12, .tls13])
    func `A client that reads its files again resumes nothing that it believed before`(
        version: TLSConfiguration.Version
    ) throws {
        let client = try certificates.client { $0.versions = version...version }
        let server = try certificates.server()
        func isResumed() throws -> Bool? {
            let pair = try Pair(client: client, server: server)
            pair.handshake()
            return pair.client.session?.isResumed
        }
        #expect(try [isResumed(), isResumed()] == [false, true])
        try client.reload()
        #expect(try [isResumed(), isResumed()] == [false, true])
    }

    @Test func `A ticket of a session from before that is not kept when it comes later`() throws {
        let client = try certificates.client()
        let server = try certificates.server()
        let pair = try Pair(client: client, server: server)
        pair.client.start()
        pair.server.start()
        pair.server.receive(pair.client.output())
        pair.client.receive(pair.server.output())
        #expect(pair.client.session != nil)
        pair.server.receive(pair.client.output())
        // The server's tickets of TLS 1.3 are on their way.
        try client.reload()
        pair.exchange()
        #expect(pair.client.failure == nil)
        let next = try Pair(client: client, server: server)
        next.handshake()
        #expect(next.client.session?.isResumed == false)
    }
}
