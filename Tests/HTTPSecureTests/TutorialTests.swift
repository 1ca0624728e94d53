import HTTP
import HTTPSecure
import HTTPTypes
import Reactor
import TLS
import TestSupport
import Testing

/// The code of the article "Trust a private authority".
@Suite struct TutorialTests {
    /// What one request comes to, with a client that believes the authorities of a file.
    private func answer(trusting authorityFile: String) throws -> String {
        let certificates = try Certificates.shared()
        let (chainFile, keyFile) = (
            certificates.file("server.pem"), certificates.file("server.key")
        )
        let address = anyPort
        var answer = ""
        try withLoop { loop in
            let identity = TLSConfiguration.Identity(chainFile: chainFile, keyFile: keyFile)
            let serving = TLSEndpoint(
                loop: loop, context: try TLSContext(.server(identity: identity)))
            let server = HTTPServer(loop: loop) { _, responder in
                responder.respond(status: 200, body: "secret\n")
            }
            let listener = try TCPListener(loop: loop, address: address) { connection in
                let secured = try? TLSConnection(
                    over: connection, endpoint: serving, peer: "client"
                ) {
                    if case .success = $1 { server.serve($0) }
                }
                if secured == nil { connection.close() }
            }

            let trusting = try TLSContext(.client(trust: .file(authorityFile)))
            let dialing = TLSEndpoint(loop: loop, context: trusting)
            let client = HTTPClient(loop: loop, dialers: ["https": TLSDialer(dialing)])

            let authority = "127.0.0.1:\(listener.localAddress.port)"
            let request = HTTPRequest(
                method: .get, scheme: "https", authority: authority, path: "/")
            client.send(request) { result in
                switch result {
                case .success(let response):
                    answer = String(decoding: response.body, as: UTF8.self)
                case .failure(let error): answer = "\(error)"
                }
                client.close()
                server.close()
                listener.close()
                serving.close()
                dialing.close()
            }
        }
        return answer
    }

    @Test("the client that believes the authority is answered, another one says what is wrong")
    func trust() throws {
        let certificates = try Certificates.shared()
        #expect(try answer(trusting: certificates.file("ca.pem")) == "secret\n")
        let other = try answer(trusting: certificates.file("stranger.pem"))
        #expect(other.contains("issuer"), "\(other)")
    }
}
