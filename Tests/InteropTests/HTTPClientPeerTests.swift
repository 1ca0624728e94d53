import Foundation
import HTTP
import HTTPTypes
import Reactor
import Testing

/// Our client against servers of others.
@Suite(.serialized) struct HTTPClientPeerTests {
    @Test(
        "nginx: files, keep-alive to its end, ranges, compression in chunks, errors",
        .enabled(if: Program.isInstalled("nginx"), "nginx is not installed"))
    func nginx() throws {
        let folder = try Folder()
        let text = String(repeating: "all work and no play\n", count: 200_000)
        try folder.file("file.txt", text)
        try against("nginx") { port in
            let configuration = try folder.file(
                "nginx.conf",
                NGINX.configuration(
                    folder,
                    """
                    server {
                        listen 127.0.0.1:\(port);
                        root \(folder.path);
                        keepalive_requests 3;
                        gzip on;
                        gzip_types *;
                        location /moved { return 301 /file.txt; }
                        location /empty { return 204; }
                    }
                    """))
            return ["-c", configuration, "-p", folder.path, "-e", "stderr"]
        } steps: { ask in
            [
                { ask(.get, "/file.txt", [:]) { #expect($0.body == Array(text.utf8)) } },
                {
                    ask(.get, "/file.txt", [.range: "bytes=0-9"]) {
                        #expect($0.status == 206)
                        #expect($0.body == Array(text.utf8.prefix(10)))
                        #expect($0.usedOpenConnection)
                    }
                },
                // The third request of this connection: nginx closes after it.
                { ask(.head, "/file.txt", [:]) { #expect($0.body.isEmpty && $0.status == 200) } },
                {
                    ask(.get, "/file.txt", [.acceptEncoding: "gzip"]) {
                        #expect($0.field("transfer-encoding") == "chunked")
                        #expect($0.body.starts(with: [0x1F, 0x8B]) && $0.body.count < text.count)
                        #expect(!$0.usedOpenConnection)
                    }
                },
                { ask(.get, "/moved", [:]) { #expect($0.status == 301) } },
                { ask(.get, "/empty", [:]) { #expect($0.status == 204 && $0.body.isEmpty) } },
                { ask(.get, "/nothing", [:]) { #expect($0.status == 404) } },
                { ask(.post, "/file.txt", [:]) { #expect($0.status == 405) } },
            ]
        }
    }

    private static let node = """
        const http = require("http");
        const server = http.createServer((req, res) => {
          if (req.url === "/chunks") {
            res.writeHead(200, { "Trailer": "X-Sum" });
            res.write("one "); setTimeout(() => {
              res.write("two"); res.addTrailers({ "X-Sum": "7" }); res.end();
            }, 5);
          } else if (req.url === "/interim") {
            res.writeProcessing();
            res.writeEarlyHints({ link: "</a>; rel=preload" });
            res.end("after");
          } else if (req.url === "/close") {
            req.socket.end("HTTP/1.1 200 OK\\r\\n\\r\\nuntil the end");
          } else res.writeHead(404).end();
        });
        server.listen(Number(process.argv[2]), "127.0.0.1");
        """

    @Test(
        "node: chunks with trailers, interim responses, content until the close",
        .enabled(if: Program.isInstalled("node"), "node is not installed"))
    func nodeServer() throws {
        let folder = try Folder()
        let script = try folder.file("server.js", Self.node)
        try against("node") { port in
            [script, "\(port)"]
        } steps: { ask in
            [
                {
                    ask(.get, "/chunks", [:]) {
                        #expect(String(decoding: $0.body, as: UTF8.self) == "one two")
                        #expect($0.trailers.first?.value == "7")
                    }
                },
                {
                    ask(.get, "/interim", [:]) {
                        #expect(String(decoding: $0.body, as: UTF8.self) == "after")
                        #expect($0.usedOpenConnection)
                    }
                },
                {
                    ask(.get, "/close", [:]) {
                        #expect(String(decoding: $0.body, as: UTF8.self) == "until the end")
                    }
                },
                { ask(.get, "/nothing", [:]) { #expect($0.status == 404) } },
            ]
        }
    }

    typealias Ask = (
        HTTPRequest.Method, String, HTTPFields, @escaping (HTTPClientResponse) -> Void
    ) -> Void

    /// Starts a server program, takes the steps one after the other, and ends it.
    private func against(
        _ name: String, arguments: (UInt16) throws -> [String],
        steps makeSteps: @escaping (@escaping Ask) -> [() -> Void]
    ) throws {
        weak var watched: HTTPClient?
        try withLoop { loop in
            let client = HTTPClient(loop: loop)
            watched = client
            let port = try freePort(loop)
            let program = try Running(name, try arguments(port), loop: loop) { outcome in
                client.close()
                #expect(isEnded(outcome), "\(name) ended itself: \(outcome.errors)")
            }
            let address = SocketAddress(.loopbackV4, port: port)
            var steps: [() -> Void] = []
            func next() {
                if steps.isEmpty { return program.terminate() }
                steps.removeFirst()()
            }
            steps = makeSteps { method, path, fields, check in
                let request = HTTPRequest(
                    method: method, scheme: "http", authority: "\(address)", path: path,
                    headerFields: fields)
                client.send(request) { result in
                    switch result {
                    case .success(let response): check(response)
                    case .failure(let error): Issue.record("\(method) \(path): \(error)")
                    }
                    next()
                }
            }
            loop.when(program, listensAt: address) { next() }
        }
        #expect(watched == nil, "the client is still held")
    }
}
