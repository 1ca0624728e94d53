import Foundation
import Pacing
import Testing

@testable import Reactor

/// Connects a pair over a Unix socket, then runs `body` and whatever it started.
func withUnixPair(
    _ location: SourceLocation = #_sourceLocation,
    _ body: (UnixConnection, UnixConnection) throws -> Void
) throws {
    let folder = try Folder()
    try withLoop(location) { loop in
        var accepted: UnixConnection?
        var isConnected = false
        let listener = try UnixListener(loop: loop, path: folder.path("s")) { accepted = $0 }
        let client = UnixConnection(loop: loop)
        client.connect(to: listener.path) { _, result in
            #expect(throws: Never.self, sourceLocation: location) { try result.get() }
            isConnected = true
        }
        #expect(!isConnected, "called from inside the call", sourceLocation: location)
        while accepted == nil || !isConnected { loop.runOnce() }
        listener.close()
        guard let server = accepted else { return }
        accepted = nil
        try body(client, server)
        loop.run()
    }
}

@Suite struct UnixTests {
    private func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    /// A socket's file as a process that was killed leaves it.
    private func leaveBehind(_ path: String, loop: EventLoop) throws {
        let old = try UnixListener(loop: loop, path: path + ".old") { $0.close() }
        #expect(rename(path + ".old", path) == 0)
        old.close()
        #expect(exists(path), "it removed what has another name")
    }

    @Test("both ends know the name; it is freed, and its file removed", arguments: [false, true])
    func life(isAbstract: Bool) throws {
        let folder = try Folder()
        let path = isAbstract ? "@sonde-test-\(getpid())" : folder.path("s")
        weak var watched: UnixConnection?
        try withLoop { loop in
            let listener = try UnixListener(loop: loop, path: path) { server in
                #expect(server.path == path && server.isOpen)
                server.onRead = { $0.write($1) }
                server.onEnd = { server, _ in server.closeAfterWriting() }
                server.resumeReading()
            }
            #expect(listener.path == path && exists(path) == !isAbstract)
            let client = UnixConnection(loop: loop)
            watched = client
            var got: [UInt8] = []
            client.onRead = { client, bytes in
                got += bytes
                if got.count == 5 { client.endWriting() }
            }
            client.onEnd = { client, error in
                #expect(error == nil && got == Array("hello".utf8))
                client.close()
            }
            client.onClose = { client in
                #expect(client.isIdle && client.path == nil)
                listener.close()
            }
            client.connect(to: path) { client, result in
                #expect(throws: Never.self) { try result.get() }
                #expect(client.path == path)
                client.write(Array("hello".utf8))
                client.resumeReading()
            }
            loop.run()
            #expect(got.count == 5)
        }
        #expect(watched == nil && !exists(path))
    }

    @Test(
        "a connect in vain says why, once, and the object connects again",
        arguments: [
            ("missing", "no such file or directory"), ("file", "connection refused"),
            (String(repeating: "x", count: 200), "name too long"), ("a\0b", "invalid argument"),
        ])
    func refused(name: String, reason: String) throws {
        let folder = try Folder()
        try Data().write(to: URL(fileURLWithPath: folder.path("file")))
        try withLoop { loop in
            let listener = try UnixListener(loop: loop, path: folder.path("s")) { $0.close() }
            let path = folder.path(name)
            let client = UnixConnection(loop: loop)
            client.tag = 1
            var told: [String] = []
            client.connect(to: path) { client, result in
                guard case .failure(let error) = result else {
                    Issue.record("nobody listens there")
                    return
                }
                told.append("\(error)")
            }
            #expect(told.isEmpty, "called from inside the call")
            client.onClose = { client in
                client.connect(to: listener.path) { client, result in
                    if case .success = result { told.append("connected") }
                    client.close()
                    listener.close()
                }
            }
            loop.run()
            #expect(told == ["connect \(path): \(reason)", "connected"])
        }
    }

    @Test("a file that nobody listens on is replaced, one that is alive or no socket is kept")
    func stale() throws {
        let folder = try Folder()
        let path = folder.path("s")
        try withLoop { loop in
            try leaveBehind(path, loop: loop)
            let listener = try UnixListener(loop: loop, path: path) { $0.close() }
            #expect {
                _ = try UnixListener(loop: loop, path: path) { $0.close() }
            } throws: {
                "\($0)" == "listen on \(path): address already in use"
            }
            // The one that is alive still is.
            let client = UnixConnection(loop: loop)
            client.connect(to: path) { client, result in
                #expect(throws: Never.self) { try result.get() }
                client.close()
            }
            loop.runOnce()
            try Data([1]).write(to: URL(fileURLWithPath: folder.path("file")))
            for name in ["file", "missing/s", ""] {
                #expect(throws: UVError.self) {
                    _ = try UnixListener(loop: loop, path: name.isEmpty ? "" : folder.path(name)) {
                        $0.close()
                    }
                }
            }
            #expect(try Data(contentsOf: URL(fileURLWithPath: folder.path("file"))) == Data([1]))
            // Another has taken the name meanwhile: its file stays.
            unlink(path)
            let other = try UnixListener(loop: loop, path: path) { $0.close() }
            listener.close()
            #expect(exists(path))
            other.close()
            #expect(!exists(path))
        }
    }

    @Test("the file has the permissions asked for", arguments: [0o600, 0o666] as [UInt16])
    func permissions(mode: UInt16) throws {
        let folder = try Folder()
        try withLoop { loop in
            let listener = try UnixListener(
                loop: loop, path: folder.path("s"), permissions: mode
            ) { $0.close() }
            var status = stat()
            #expect(stat(listener.path, &status) == 0)
            #expect(UInt16(truncatingIfNeeded: status.st_mode) & 0o777 == mode)
            listener.close()
        }
    }

    @Test("errors of a connection name its socket")
    func named() throws {
        try withUnixPair { client, server in
            let path = client.path ?? ""
            client.onEnd = { client, error in
                #expect(error.map { "\($0)" } == "read from \(path): connection reset by peer")
                client.close()
            }
            client.write([1])
            client.resumeReading()
            server.close()
        }
    }

    @Test("haproxy's statistics come through its own socket")
    func haproxy() throws {
        guard let program = Program.path("haproxy") else { return print("skipped: no haproxy") }
        let folder = try Folder()
        let path = folder.path("admin")
        let configuration = """
            global
                stats socket \(path) mode 600 level admin
            defaults
                mode http
                timeout connect 1s
                timeout client 1s
                timeout server 1s
            frontend web
                bind unix@\(folder.path("web"))
            """
        try Data((configuration + "\n").utf8).write(
            to: URL(fileURLWithPath: folder.path("haproxy.cfg")))
        try withLoop { loop in
            var (answer, hasEnded) = ("", false)
            let child = try ChildProcess(
                loop: loop, program: program, arguments: ["-f", folder.path("haproxy.cfg"), "-db"],
                output: .discarded
            ) { _ in hasEnded = true }
            when(loop, { exists(path) || hasEnded }) {
                let client = UnixConnection(loop: loop)
                client.onRead = { answer += String(decoding: $1, as: UTF8.self) }
                client.onEnd = { client, _ in
                    client.close()
                    child.close()
                }
                client.connect(to: path) { client, result in
                    guard case .success = result else { return child.close() }
                    client.write(Array("show stat\n".utf8))
                    client.resumeReading()
                }
            }
            loop.run()
            #expect(answer.hasPrefix("# pxname,svname") && answer.contains("web,FRONTEND"))
        }
    }
}
