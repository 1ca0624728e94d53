import Foundation
import HTTP
import HTTPTypes
import Pacing
import Reactor
@_exported import TestSupport
import Testing

/// What the programs talk to.
struct TestSite {
    var router = HTTPRouter()

    init() {
        router.on(.get, "/hello") { $1.respond(status: 200, literal: "hello\n") }
        router.on(.post, "/echo", bodyLimit: 8 << 20) {
            $1.respond(status: 200, body: $0.takeBody())
        }
        router.on(.put, "/small", bodyLimit: 10) { $1.respond(status: 204) }
        router.on(.get, "/chunks") { _, responder in
            guard let writer = responder.start(HTTPResponse(status: .ok)) else { return }
            for index in 0..<100 { writer.write(Array("chunk \(index)\n".utf8)) }
            writer.finish()
        }
    }

    static let chunks = (0..<100).map { "chunk \($0)\n" }.joined()
}

/// Serves ``TestSite`` and runs one program against it; the server has to end clean.
func serve(
    to name: String, _ location: SourceLocation = #_sourceLocation,
    listen: String = "127.0.0.1:0",
    configuration: HTTPServerConfiguration = HTTPServerConfiguration(),
    arguments: (_ authority: String) throws -> [String],
    check: @escaping (Program.Outcome, HTTPServer) -> Void
) throws {
    weak var watched: HTTPServer?
    try withLoop(location) { loop in
        let server = HTTPServer(
            loop: loop, configuration: configuration, router: TestSite().router)
        watched = server
        let address = try server.listen(on: try #require(SocketAddress(listen)))
        _ = try Running(name, try arguments("\(address)"), loop: loop) { outcome in
            check(outcome, server)
            // Nothing that the program left open stays: what it closed, the server has closed too.
            loop.pollUntil({ server.connectionCount == 0 }) { server.close() }
        }
    }
    #expect(watched == nil, "the server is still held", sourceLocation: location)
}
