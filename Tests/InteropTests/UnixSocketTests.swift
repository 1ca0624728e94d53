import HTTP
import Reactor
import TestSupport
import Testing

@Suite struct UnixSocketTests {
    @Test("curl asks an HTTP server on a Unix socket", arguments: [false, true])
    func curl(isAbstract: Bool) throws {
        guard let program = Program.path("curl") else { return print("skipped: no curl") }
        let folder = try Folder()
        let path = isAbstract ? "@sonde-interop-\(folder.path.hashValue)" : folder.path("http")
        try withLoop { loop in
            let server = HTTPServer(loop: loop) { _, responder in
                responder.respond(status: 200, literal: "over a file\n")
            }
            let listener = try UnixListener(loop: loop, path: path, permissions: 0o600) {
                server.serve($0)
            }
            var said: [String] = []
            let option =
                isAbstract
                ? ["--abstract-unix-socket", String(path.dropFirst())] : ["--unix-socket", path]
            _ = try ChildProcess(
                loop: loop, program: program,
                arguments: ["-s", "-w", "%{http_code}\\n"] + option
                    + ["http://name/a", "http://name/b"],
                output: .captured, onLine: { said.append($0) }
            ) { exit in
                #expect(exit.isSuccess)
                listener.close()
                server.close()
            }
            loop.run()
            #expect(said == ["over a file", "200", "over a file", "200"])
        }
    }
}
