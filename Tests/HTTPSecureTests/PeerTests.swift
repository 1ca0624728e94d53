import Foundation
import HTTPSecure
import Pacing
import Reactor
import TLS
import Testing

/// Real programs on the other end.
@Suite struct PeerTests {
    let certificates: Certificates
    var authority: String { certificates.file("ca.pem") }

    init() throws { certificates = try Certificates.shared() }

    private static func has(_ name: String) -> Bool { Program.isInstalled(name) }

    // MARK: - Our server

    /// Runs a program against a server of ours and hands over what it said.
    private func serve(
        _ context: TLSContext, isRude: Bool = false, _ program: String,
        _ arguments: (UInt16) -> [String],
        then: @escaping (Program.Outcome, SecureServer) -> Void
    ) throws {
        try withLoop { loop in
            let server = try SecureServer(loop: loop, context)
            server.isRude = isRude
            try Running(program, arguments(server.port), loop: loop) { outcome in
                then(outcome, server)
                server.close()
            }
        }
    }

    @Test(.enabled(if: has("curl"), "curl is not installed"), arguments: ["1.2", "1.3"])
    func `curl gets an answer in both versions`(version: String) throws {
        try serve(certificates.server { $0.protocols = ["http/1.1"] }, "curl") {
            [
                "-sS", "--cacert", authority, "--tlsv\(version)", "--tls-max", version,
                "--resolve", "localhost:\($0):127.0.0.1", "https://localhost:\($0)/",
            ]
        } then: { outcome, server in
            #expect(outcome.output == "hello\n" && outcome.code == 0, "\(outcome.errors)")
            #expect(server.sessions.first?.version.description == "TLS \(version)")
            #expect(server.sessions.first?.applicationProtocol == "http/1.1")
        }
    }

    @Test(.enabled(if: has("curl"), "curl is not installed"))
    func `curl shows a certificate, or is refused`() throws {
        let context = try certificates.server { $0.trust = .file(authority) }
        let words = ["-sS", "--cacert", authority]
        try serve(context, "curl") {
            words + [
                "--cert", certificates.file("client.pem"), "--key",
                certificates.file("client.key"), "https://127.0.0.1:\($0)/",
            ]
        } then: { outcome, server in
            #expect(outcome.output == "hello\n", "\(outcome.errors)")
            #expect(server.sessions.first?.peerNames == "probe-7")
        }
        try serve(context, "curl") {
            words + ["https://127.0.0.1:\($0)/"]
        } then: { outcome, server in
            #expect(outcome.code != 0)
            #expect(
                server.failures == ["the client showed no certificate, which is asked of it"])
        }
    }

    @Test(
        .enabled(if: has("openssl"), "openssl is not installed"), arguments: ["-tls1_2", "-tls1_3"])
    func `openssl s_client resumes its session and cannot renegotiate`(version: String) throws {
        try serve(certificates.server(), "sh") { port in
            let client = """
                openssl s_client -connect 127.0.0.1:\(port) -servername localhost \(version) \
                -CAfile \(authority) -verify_return_error
                """
            let request = "printf 'GET / HTTP/1.0\\r\\n\\r\\n'"
            let file = certificates.file("session\(version)")
            return [
                "-c",
                """
                \(request) | \(client) -ign_eof -sess_out \(file) && \
                \(request) | \(client) -ign_eof -sess_in \(file)
                """,
            ]
        } then: { outcome, server in
            #expect(outcome.code == 0, "\(outcome.errors)")
            #expect(outcome.output.contains("Verify return code: 0 (ok)"))
            #expect(outcome.output.contains("Reused, TLS"))
            #expect(server.sessions.map(\.isResumed) == [false, true])
        }
        guard version == "-tls1_2" else { return }
        // A line with R alone has s_client ask for a renegotiation.
        try serve(certificates.server(), "sh") { port in
            [
                "-c",
                """
                (echo R; cat) | timeout 5 openssl s_client -connect 127.0.0.1:\(port) \
                -tls1_2 -CAfile \(authority)
                """,
            ]
        } then: { outcome, _ in
            #expect(outcome.errors.contains("no renegotiation"), "\(outcome.errors)")
        }
    }

    @Test(.enabled(if: has("python3"), "python3 is not installed"))
    func `Python sees our close alert, and its absence`() throws {
        let script = """
            import socket, ssl, sys
            context = ssl.create_default_context(cafile=sys.argv[2])
            with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as raw:
                with context.wrap_socket(
                    raw, server_hostname="localhost", suppress_ragged_eofs=False) as tls:
                    tls.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
                    text = b""
                    try:
                        while piece := tls.recv(4096):
                            text += piece
                        end = "told"
                    except ssl.SSLEOFError:
                        end = "cut"
            print(text.endswith(b"hello\\n"), end)
            """
        for isRude in [false, true] {
            try serve(certificates.server(), isRude: isRude, "python3") {
                ["-c", script, "\($0)", authority]
            } then: { outcome, _ in
                #expect(outcome.output == (isRude ? "True cut\n" : "True told\n"), "\(outcome)")
            }
        }
    }

    // MARK: - Our client

    /// Visits a server that is started by a shell line, which must say `ACCEPT 127.0.0.1:port`.
    private func visits(
        _ count: Int, _ line: String, _ context: TLSContext, then: @escaping ([Visit]) -> Void
    ) throws {
        let server = try Running(
            ["-c", "exec \(line) 1>&2"], executable: URL(fileURLWithPath: "/bin/sh"))
        defer {
            server.terminate()
            _ = server.finish()
        }
        let said = try #require(server.awaitLog("ACCEPT "))
        let port = try #require(said.split(separator: ":").last.flatMap { UInt16($0) })
        try withLoop { loop in
            let endpoint = TLSEndpoint(loop: loop, context: context)
            var done: [Visit] = []
            func next() {
                visit(endpoint, port: port) {
                    done.append($0)
                    if done.count < count { return next() }
                    endpoint.close()
                    then(done)
                }
            }
            next()
        }
    }

    /// Answers three connections, and ends each as `unwrap` or `close` in its arguments say.
    private static let python = """
        import socket, ssl, sys
        end, version, chain, key, authority = sys.argv[1:]
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
        context.verify_mode = ssl.CERT_REQUIRED
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
        context.load_cert_chain(chain, key)
        context.set_alpn_protocols(["http/1.1"])
        with socket.create_server(("127.0.0.1", 0)) as listener:
            print(f"ACCEPT 127.0.0.1:{listener.getsockname()[1]}", flush=True)
            for _ in range(3):
                raw, _ = listener.accept()
                tls = context.wrap_socket(raw, server_side=True)
                tls.recv(4096)
                name = dict(item[0] for item in tls.getpeercert()["subject"])["commonName"]
                tls.sendall(f"HTTP/1.0 200 OK\\r\\n\\r\\nhello {name}\\n".encode())
                if end == "unwrap":
                    tls.unwrap()
                tls.close()
        """

    @Test(
        .enabled(if: has("python3"), "python3 is not installed"),
        arguments: [TLSConfiguration.Version.tls12, .tls13], ["unwrap", "close"])
    func `A Python server is visited, resumes, and is heard closing or cutting`(
        version: TLSConfiguration.Version, end: String
    ) throws {
        let folder = try Folder()
        let script = try folder.file("server.py", PeerTests.python)
        let words = [
            script, end, version == .tls12 ? "TLSv1_2" : "TLSv1_3",
            certificates.file("server.pem"), certificates.file("server.key"), authority,
        ]
        let context = try certificates.client {
            $0.identity = certificates.identity("client")
            $0.protocols = ["http/1.1"]
        }
        try visits(3, "python3 \(words.joined(separator: " "))", context) { visits in
            #expect(visits.allSatisfy { $0.text.hasSuffix("\r\n\r\nhello probe 7\n") }, "\(visits)")
            #expect(visits.map(\.session?.version) == [version, version, version])
            #expect(visits.map(\.session?.isResumed) == [false, true, true])
            #expect(visits.allSatisfy { $0.session?.applicationProtocol == "http/1.1" })
            let said = " closed the connection without saying so in TLS"
            #expect(
                visits.allSatisfy {
                    end == "unwrap" ? $0.end == nil : $0.end?.hasSuffix(said) == true
                }, "\(visits)")
        }
    }

    private func opensslServer(_ name: String, _ more: String = "") -> String {
        """
        openssl s_server -accept 127.0.0.1:0 -www -cert \(certificates.file("\(name).pem")) \
        -key \(certificates.file("\(name).key")) \(more)
        """
    }

    @Test(
        .enabled(if: has("openssl"), "openssl is not installed"),
        arguments: [TLSConfiguration.Version.tls12, .tls13])
    func `openssl s_server is visited, and resumes`(version: TLSConfiguration.Version) throws {
        let context = try certificates.client {
            $0.versions = version...version
            $0.protocols = ["h2", "http/1.1"]
        }
        try visits(3, opensslServer("server", "-alpn http/1.1"), context) { visits in
            #expect(visits.map(\.session?.isResumed) == [false, true, true])
            #expect(visits.allSatisfy { $0.failure == nil && $0.text.contains("s_server") })
            #expect(visits.allSatisfy { $0.session?.applicationProtocol == "http/1.1" })
        }
    }

    @Test(.enabled(if: has("openssl"), "openssl is not installed"))
    func `openssl s_server asks for a certificate`() throws {
        let line = opensslServer("server", "-Verify 2 -verify_return_error -CAfile \(authority)")
        let shown = try certificates.client { $0.identity = certificates.identity("client") }
        try visits(1, line, shown) { #expect($0[0].text.contains("probe 7"), "\($0)") }
        try visits(1, line, certificates.client()) { visits in
            // In TLS 1.3 the refusal comes after the client is sure.
            let said = visits[0].failure ?? visits[0].end ?? ""
            #expect(said.hasSuffix("wants a client certificate: give --cert and --key"), "\(said)")
        }
    }

    @Test(
        .enabled(if: has("openssl"), "openssl is not installed"),
        arguments: [
            ("other", "is for example.org, www.example.org, 192.0.2.7, not for localhost"),
            ("expired", "expired on "), ("unknown", "issuer unknown (CN=Somebody else): give --ca"),
        ])
    func `What is wrong with a real server's certificate is said`(
        name: String, words: String
    ) throws {
        try visits(1, opensslServer(name), certificates.client()) {
            #expect($0[0].failure?.contains(words) == true, "\($0)")
            #expect($0[0].session == nil)
        }
    }
}
