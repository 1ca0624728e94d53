import HTTP
import HTTPTypes
import Reactor
import TLS
import Testing

@testable import HTTPSecure

/// `https` in the client and in the server, against each other.
@Suite(.serialized) struct DialerTests {
    private func request(_ authority: String) -> HTTPRequest {
        HTTPRequest(method: .get, scheme: "https", authority: authority, path: "/")
    }

    /// A server behind TLS and a client that trusts it; `done` ends both.
    private func withPair(
        _ body: (_ client: HTTPClient, _ port: UInt16, _ done: @escaping () -> Void) -> Void
    ) throws {
        let certificates = try Certificates.shared()
        try withLoop { loop in
            let serving = TLSEndpoint(loop: loop, context: try certificates.server())
            let dialing = TLSEndpoint(loop: loop, context: try certificates.client())
            let server = HTTPServer(loop: loop) { request, responder in
                #expect(request.httpRequest.scheme == "https")
                responder.respond(status: 200, body: "secret\n")
            }
            let everywhere = SocketAddress(.anyV4, port: 0)
            let listener = try server.listen(on: everywhere, securedBy: serving)
            let client = HTTPClient(loop: loop, dialers: ["https": TLSDialer(dialing)])
            body(client, listener.boundAddress?.port ?? 0) {
                client.close()
                server.close()
                serving.close()
                dialing.close()
            }
        }
    }

    @Test("a request goes over TLS, and the next one over the same connection")
    func exchange() throws {
        var answers: [(Int, String, Bool)] = []
        try withPair { client, port, done in
            func next(_ left: Int) {
                if left == 0 { return done() }
                client.send(request("127.0.0.1:\(port)")) { result in
                    switch result {
                    case .success(let response):
                        answers.append(
                            (
                                response.status, String(decoding: response.body, as: UTF8.self),
                                response.usedOpenConnection
                            ))
                        next(left - 1)
                    case .failure(let error):
                        Issue.record("\(error)")
                        done()
                    }
                }
            }
            next(2)
        }
        #expect(answers.map(\.0) == [200, 200] && answers.map(\.1) == ["secret\n", "secret\n"])
        #expect(answers.map(\.2) == [false, true])
    }

    @Test("who is not who he should be is named, and blamed; the port's default is https's")
    func wrongName() throws {
        var failures: [HTTPError] = []
        try withPair { client, port, done in
            client.send(request("127.0.0.2:\(port)")) { result in
                if case .failure(let error) = result { failures.append(error) }
                #expect(client.connectionCount == 0)
                client.send(request("127.0.0.3")) { result in
                    if case .failure(let error) = result { failures.append(error) }
                    done()
                }
            }
        }
        #expect(failures.count == 2 && failures.allSatisfy { $0.fault == .remote })
        #expect(failures.first?.description.contains("not for 127.0.0.2") == true, "\(failures)")
        #expect(failures.last?.description == "connect 127.0.0.3:443: connection refused")
    }
}
