import Pacing
import TLS
import Testing

@Suite struct MachineTests {
    let certificates: Certificates

    init() throws { certificates = try Certificates.shared() }

    @Test(arguments: [TLSConfiguration.Version.tls12, .tls13], [1, 7, 1_000, Int.max])
    func `Both sides agree and exchange bytes, however they are split`(
        version: TLSConfiguration.Version, piece: Int
    ) throws {
        let pair = try Pair(
            client: certificates.client { $0.versions = version...version },
            server: certificates.server())
        pair.piece = piece
        pair.client.write("kept until both are sure")
        pair.handshake()
        let text = String(repeating: "0123456789abcdef", count: 4_000)
        pair.server.write(text)
        pair.exchange()
        #expect(pair.client.session?.version == version)
        #expect(
            pair.client.session?.peerNames
                == "localhost, *.test.example, 127.0.0.1, 0:0:0:0:0:0:0:1")
        #expect(pair.server.session?.serverName == "localhost")
        #expect(pair.server.session?.peerNames == "")
        #expect(pair.client.session?.isResumed == false)
        #expect(
            String(decoding: pair.server.plaintext, as: UTF8.self) == "kept until both are sure")
        #expect(String(decoding: pair.client.plaintext, as: UTF8.self) == text)
        #expect(pair.client.failure == nil && pair.server.failure == nil)
    }

    @Test(arguments: [TLSConfiguration.Version.tls12, .tls13])
    func `A session is resumed once`(version: TLSConfiguration.Version) throws {
        let client = try certificates.client { $0.versions = version...version }
        let server = try certificates.server()
        var resumed: [Bool?] = []
        for _ in 0..<3 {
            let pair = try Pair(client: client, server: server)
            pair.handshake()
            resumed.append(pair.client.session?.isResumed)
            #expect(pair.server.session?.isResumed == pair.client.session?.isResumed)
            // A resumed session still knows whom it is with, on both sides.
            #expect(pair.server.session?.serverName == "localhost")
            #expect(pair.client.session?.peerNames.hasPrefix("localhost") == true)
        }
        #expect(resumed == [false, true, true])
        let elsewhere = try Pair(client: client, server: server, peer: "localhost:444")
        elsewhere.handshake()
        #expect(elsewhere.client.session?.isResumed == false)
    }

    @Test func `A session whose connection was cut is resumed all the same`() throws {
        let client = try certificates.client()
        let server = try certificates.server()
        for isResumed in [false, true] {
            let pair = try Pair(client: client, server: server)
            pair.handshake()
            #expect(pair.client.session?.isResumed == isResumed)
            pair.client.inputEnded()
            #expect(pair.client.failure?.kind == .truncated)
        }
    }

    @Test func `Without tickets nothing is resumed`() throws {
        let client = try certificates.client()
        let server = try certificates.server { $0.resumesSessions = false }
        for _ in 0..<2 {
            let pair = try Pair(client: client, server: server)
            pair.handshake()
            #expect(pair.client.session?.isResumed == false)
        }
    }

    @Test func `Tickets and certificates survive that the files are read again`() throws {
        let client = try certificates.client()
        let server = try certificates.server()
        let first = try Pair(client: client, server: server)
        first.handshake()
        try server.reload()
        let second = try Pair(client: client, server: server)
        second.handshake()
        #expect(second.client.session?.isResumed == true)
        // The connection that was open goes on.
        first.server.write("still here")
        first.exchange()
        #expect(String(decoding: first.client.plaintext, as: UTF8.self) == "still here")
    }

    @Test(arguments: [
        ("www.test.example", true), ("a.b.test.example", false), ("127.0.0.1", true),
        ("::1", true), ("127.0.0.2", false), ("example.org", false),
    ])
    func `The certificate must be for the host`(name: String, isGood: Bool) throws {
        let pair = try Pair(
            client: certificates.client(), server: certificates.server(), name: name,
            peer: "\(name):443")
        pair.handshake()
        #expect((pair.client.session != nil) == isGood)
        guard !isGood else { return }
        #expect(pair.client.failure?.kind == .wrongHost)
        #expect(
            pair.client.failure?.description
                == "certificate of \(name):443 is for localhost, *.test.example, 127.0.0.1, "
                + "0:0:0:0:0:0:0:1, not for \(name)")
        #expect(pair.server.failure?.kind == .refused)
        #expect(pair.server.session == nil || pair.server.plaintext.isEmpty)
    }

    @Test(arguments: [TLSConfiguration.Version.tls12, .tls13])
    func `What is wrong with a certificate is said as a person would say it`(
        version: TLSConfiguration.Version
    ) throws {
        func failure(_ name: String) throws -> TLSError? {
            let pair = try Pair(
                client: certificates.client { $0.versions = version...version },
                server: certificates.server(name))
            pair.handshake()
            #expect(pair.client.session == nil)
            return pair.client.failure
        }
        let expired = try failure("expired")
        #expect(expired?.kind == .expired)
        #expect(
            expired?.description.hasPrefix("certificate of localhost:443 expired on 20") == true)
        let unknown = try failure("unknown")
        #expect(unknown?.kind == .unknownIssuer)
        #expect(
            unknown?.description == "certificate of localhost:443: issuer unknown "
                + "(CN=Somebody else): give --ca-file")
        let nameless = try failure("nameless")?.description
        #expect(nameless?.contains("is for plain.example, not") == true)
    }

    @Test func `Without verification whoever answers is good enough`() throws {
        let pair = try Pair(
            client: certificates.client { $0.trust = .unverified },
            server: certificates.server("unknown"), name: "elsewhere")
        pair.handshake()
        #expect(pair.client.session?.peerNames == "localhost")
    }

    @Test func `Authorities may come from a folder`() throws {
        let pair = try Pair(
            client: certificates.client { $0.trust = .folder(certificates.file("folder")) },
            server: certificates.server())
        pair.handshake()
        #expect(pair.client.session != nil)
    }

    @Test(arguments: [TLSConfiguration.Version.tls12, .tls13])
    func `A server asks for client certificates`(version: TLSConfiguration.Version) throws {
        let server = try certificates.server {
            $0.trust = .file(certificates.file("ca.pem"))
            $0.versions = version...version
        }
        let shown = try Pair(
            client: certificates.client { $0.identity = certificates.identity("client") },
            server: server)
        shown.handshake()
        #expect(shown.server.session?.peerNames == "probe-7")

        let hidden = try Pair(client: certificates.client(), server: server)
        hidden.handshake()
        #expect(hidden.server.session == nil)
        #expect(
            hidden.server.failure?.description
                == "the client showed no certificate, which is asked of it")
        #expect(hidden.client.failure?.kind == .refused)

        let strange = try Pair(
            client: certificates.client { $0.identity = certificates.identity("unknown") },
            server: server)
        strange.handshake()
        #expect(strange.server.failure?.kind == .unknownIssuer)
        #expect(
            strange.client.failure?.description
                == "localhost:443 does not know the issuer of our certificate")
    }

    @Test func `ALPN chooses what the server prefers`() throws {
        func chosen(_ client: [String], _ server: [String]) throws -> Pair {
            let pair = try Pair(
                client: certificates.client { $0.protocols = client },
                server: certificates.server { $0.protocols = server })
            pair.handshake()
            return pair
        }
        let both = try chosen(["http/1.1", "h2"], ["h2", "http/1.1"])
        #expect(both.client.session?.applicationProtocol == "h2")
        #expect(both.server.session?.applicationProtocol == "h2")
        #expect(try chosen([], ["h2"]).client.session?.applicationProtocol == .some(nil))
        #expect(try chosen(["h2"], []).client.session?.applicationProtocol == .some(nil))
        #expect(try chosen(["h3"], ["h2"]).client.failure?.kind == .nothingInCommon)
    }

    @Test func `Versions without overlap have nothing in common`() throws {
        let pair = try Pair(
            client: certificates.client { $0.versions = .tls12 ... .tls12 },
            server: certificates.server { $0.versions = .tls13 ... .tls13 })
        pair.handshake()
        #expect(pair.client.failure?.kind == .nothingInCommon)
        #expect(pair.server.failure?.kind == .nothingInCommon)
    }

    @Test func `A peer that speaks HTTP does not speak TLS`() throws {
        let pair = try Pair(client: certificates.client(), server: certificates.server())
        pair.client.start()
        pair.client.receive(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8))
        #expect(pair.client.failure?.kind == .protocolViolation)
        #expect(
            pair.client.failure?.description.hasPrefix("localhost:443 does not speak TLS") == true)
        pair.server.start()
        pair.server.receive(Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8))
        #expect(pair.server.failure?.kind == .protocolViolation)
    }

    // MARK: - Ending

    @Test(arguments: [TLSConfiguration.Version.tls12, .tls13])
    func `A close alert ends one direction, and its absence is seen`(
        version: TLSConfiguration.Version
    ) throws {
        let pair = try Pair(
            client: certificates.client { $0.versions = version...version },
            server: certificates.server())
        pair.handshake()
        pair.client.actions = []
        pair.server.write("last words")
        pair.server.close()
        pair.exchange()
        #expect(String(decoding: pair.client.plaintext, as: UTF8.self) == "last words")
        #expect(pair.client.actions == [.peerClosed])
        pair.client.inputEnded()
        #expect(pair.client.failure == nil, "it said so")
        #expect(pair.server.failure == nil)

        pair.server.actions = []
        pair.client.write("answer")
        pair.client.close()
        pair.client.close()
        pair.exchange()
        #expect(pair.server.failure == nil)

        let cut = try Pair(client: certificates.client(), server: certificates.server())
        cut.handshake()
        cut.client.inputEnded()
        #expect(cut.client.failure?.kind == .truncated)
        cut.client.inputEnded()
        #expect(
            cut.client.actions.filter { if case .failed = $0 { true } else { false } }.count == 1)
    }

    @Test func `Whoever has ended its own direction still receives`() throws {
        let pair = try Pair(client: certificates.client(), server: certificates.server())
        pair.handshake()
        pair.client.actions = []
        pair.client.machine.endWriting(&pair.client.actions)
        pair.exchange()
        #expect(pair.server.actions.last == .peerClosed)
        pair.server.write("still to come")
        pair.server.close()
        pair.exchange()
        #expect(String(decoding: pair.client.plaintext, as: UTF8.self) == "still to come")
        #expect(pair.client.actions.last == .peerClosed)
        pair.client.inputEnded()
        #expect(pair.client.failure == nil)

        let cut = try Pair(client: certificates.client(), server: certificates.server())
        cut.handshake()
        cut.client.machine.endWriting(&cut.client.actions)
        cut.client.inputEnded()
        #expect(cut.client.failure?.kind == .truncated)
    }

    @Test func `Truncation in the handshake and silence have their names`() throws {
        let cut = try Pair(client: certificates.client(), server: certificates.server())
        cut.client.start()
        cut.client.inputEnded()
        #expect(cut.client.failure?.kind == .truncated)

        let silent = try Pair(client: certificates.client(), server: certificates.server())
        silent.client.start()
        let deadline = try #require(silent.client.deadline)
        #expect(deadline == Pair.now + .seconds(10))
        silent.client.machine.tick(now: deadline - .nanoseconds(1), &silent.client.actions)
        #expect(silent.client.failure == nil)
        silent.client.machine.tick(now: deadline, &silent.client.actions)
        #expect(silent.client.failure?.kind == .timedOut)
        #expect(silent.client.deadline == nil)
        silent.client.receive([22, 3, 3, 0, 1, 0])
        #expect(silent.client.actions.last == .failed(try #require(silent.client.failure)))
    }

    @Test func `An open connection has no deadline`() throws {
        let pair = try Pair(client: certificates.client(), server: certificates.server())
        pair.handshake()
        #expect(pair.client.deadline == nil && pair.server.deadline == nil)
    }

    // MARK: - Configuration

    @Test func `A file that cannot be used is named`() throws {
        func message(_ change: (inout TLSConfiguration) -> Void) -> String {
            do {
                _ = try certificates.server("server", change)
                return "no error"
            } catch { return "\(error)" }
        }
        let key = certificates.file("other.key")
        let faults = [
            message { $0.identity?.chainFile = "/nowhere.pem" },
            message { $0.identity?.chainFile = key },
            message { $0.identity?.keyFile = "/nowhere.key" },
            message { $0.identity?.keyFile = key },
            message { $0.identity = nil },
            message { $0.trust = .file("/nowhere.pem") },
            message { $0.protocols = [""] },
        ]
        let certificate = certificates.file("server.pem")
        #expect(
            faults == [
                "certificate file /nowhere.pem: No such file or directory",
                "certificate file \(key): no start line",
                "key file /nowhere.key: No such file or directory",
                "the key in \(key) is not that of the certificate in \(certificate)",
                "a TLS server needs a certificate and its key",
                "authorities in /nowhere.pem: No such file or directory",
                "\"\" is no protocol for ALPN: it needs 1 to 255 bytes",
            ])
        #expect(throws: TLSError.self) {
            try Pair(client: certificates.client(), server: certificates.server(), name: "")
        }
    }
}
