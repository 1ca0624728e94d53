import Foundation
import HTTP
import HTTPTypes
import Reactor
import Testing

/// Reverse proxies between our client and our server.
@Suite(.serialized) struct HTTPProxyTests {
    @Test(
        "nginx in front of the server, keeping its connections to it",
        .enabled(if: Program.isInstalled("nginx"), "nginx is not installed"))
    func nginx() throws {
        let folder = try Folder()
        try through("nginx") { port, upstream in
            let configuration = try folder.file(
                "nginx.conf",
                NGINX.configuration(
                    folder,
                    """
                    upstream site { server \(upstream); keepalive 4; }
                    server {
                        listen 127.0.0.1:\(port);
                        client_max_body_size 8m;
                        location / {
                            proxy_pass http://site;
                            proxy_http_version 1.1;
                            proxy_set_header Connection "";
                        }
                    }
                    """))
            return ["-c", configuration, "-p", folder.path, "-e", "stderr"]
        }
    }

    @Test(
        "haproxy in front of the server",
        .enabled(if: Program.isInstalled("haproxy"), "haproxy is not installed"))
    func haproxy() throws {
        let folder = try Folder()
        try through("haproxy") { port, upstream in
            let configuration = try folder.file(
                "haproxy.cfg",
                """
                defaults
                    mode http
                    timeout connect 5s
                    timeout client 20s
                    timeout server 20s
                frontend front
                    bind 127.0.0.1:\(port)
                    default_backend back
                backend back
                    http-reuse always
                    server site \(upstream)

                """)
            return ["-db", "-f", configuration]
        }
    }

    /// Starts server, proxy and client on one loop, and ends all three.
    private func through(
        _ name: String, arguments: @escaping (_ port: UInt16, _ upstream: String) throws -> [String]
    ) throws {
        try withLoop { loop in
            var connections = Set<UInt16>()
            var router = TestSite().router
            router.on(.get, "/who") { request, responder in
                connections.insert(request.peerAddress?.port ?? 0)
                responder.respond(status: 200, body: request.headers("x-forwarded-for"))
            }
            let server = HTTPServer(loop: loop, router: router)
            let upstream = try server.listen(on: SocketAddress(.loopbackV4, port: 0))
            let client = HTTPClient(loop: loop)
            let port = try freePort(loop)
            let proxy = try Running(name, try arguments(port, "\(upstream)"), loop: loop) {
                outcome in
                client.close()
                server.close()
                #expect(isEnded(outcome), "\(name) ended itself: \(outcome.errors)")
            }
            let front = SocketAddress(.loopbackV4, port: port)
            loop.when(proxy, listensAt: front) {
                exercise(client, "\(front)") {
                    #expect(connections.count <= 4, "the proxy kept its connections")
                    proxy.terminate()
                }
            }
        }
    }

    private func exercise(
        _ client: HTTPClient, _ authority: String, done: @escaping () -> Void
    ) {
        func ask(
            _ method: HTTPRequest.Method, _ path: String, _ body: [UInt8] = [],
            _ then: @escaping (HTTPClientResponse) -> Void
        ) {
            let request = HTTPRequest(
                method: method, scheme: "http", authority: authority, path: path)
            client.send(request, body: body) { result in
                switch result {
                case .success(let response): then(response)
                case .failure(let error):
                    Issue.record("\(method) \(path): \(error)")
                    done()
                }
            }
        }
        func repeated(_ left: Int, _ then: @escaping () -> Void) {
            if left == 0 { return then() }
            ask(.get, "/who") {
                #expect($0.status == 200)
                repeated(left - 1, then)
            }
        }
        let body = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 13) }
        repeated(20) {
            ask(.post, "/echo", body) {
                #expect($0.body == body)
                ask(.get, "/chunks") {
                    #expect(String(decoding: $0.body, as: UTF8.self) == TestSite.chunks)
                    ask(.head, "/hello") {
                        #expect($0.status == 200 && $0.body.isEmpty)
                        ask(.get, "/nothing") {
                            #expect($0.status == 404)
                            done()
                        }
                    }
                }
            }
        }
    }
}

extension HTTPServerRequest {
    fileprivate func headers(_ name: String) -> String { fields.string(name) ?? "" }
}
