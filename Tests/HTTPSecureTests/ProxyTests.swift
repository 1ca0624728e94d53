import HTTPSecure
import Pacing
import Reactor
import TLS
import Testing

/// nginx and haproxy on the other end of TLS, before us and behind us.
@Suite(
    .serialized,
    .enabled(if: Proxy.allCases.allSatisfy(\.isInstalled), "nginx or haproxy is not installed"))
struct ProxyTests {
    let certificates: Certificates

    init() throws { certificates = try Certificates.shared() }

    // MARK: - Our client

    /// Runs a proxy that answers over TLS itself, and visits it so many times.
    private func visits(
        _ count: Int, _ proxy: Proxy, _ rules: Proxy.Rules, _ context: TLSContext,
        then: @escaping ([Visit]) -> Void
    ) throws {
        try withLoop { loop in
            let endpoint = TLSEndpoint(loop: loop, context: context)
            try proxy.run(on: loop, rules.folder, proxy.server(rules)) { port, end in
                var done: [Visit] = []
                func next() {
                    visit(endpoint, port: port) {
                        done.append($0)
                        if done.count < count { return next() }
                        then(done)
                        end()
                    }
                }
                next()
            } completion: {
                endpoint.close()
            }
        }
    }

    @Test(arguments: Proxy.allCases, [TLSConfiguration.Version.tls12, .tls13])
    func `is visited in both versions, and resumes`(
        proxy: Proxy, version: TLSConfiguration.Version
    ) throws {
        let context = try certificates.client { $0.protocols = ["h2", "http/1.1"] }
        try visits(3, proxy, try .init(certificates, version), context) { visits in
            #expect(visits.map(\.session?.version) == [version, version, version])
            #expect(visits.map(\.session?.isResumed) == [false, true, true], "\(visits)")
            #expect(visits.allSatisfy { $0.session?.applicationProtocol == "http/1.1" })
            // The close alert came, too.
            #expect(visits.allSatisfy { $0.failure == nil && $0.end == nil }, "\(visits)")
            let words = proxy.isResumed.map { "\(proxy.name(version)) \($0)\n" }
            #expect(visits.map { $0.text.hasSuffix(words[0]) } == [true, false, false])
            #expect(visits.map { $0.text.hasSuffix(words[1]) } == [false, true, true])
        }
    }

    @Test(arguments: Proxy.allCases)
    func `asks for a certificate`(proxy: Proxy) throws {
        var rules = try Proxy.Rules(certificates, .tls13)
        rules.asksForCertificate = true
        let shown = try certificates.client { $0.identity = certificates.identity("client") }
        try visits(2, proxy, rules, shown) { visits in
            #expect(visits.allSatisfy { $0.text.contains("200 OK") }, "\(visits)")
            #expect(visits.map(\.session?.isResumed) == [false, true])
        }
        try visits(1, proxy, rules, certificates.client()) { visits in
            // nginx lets everybody in, and says so in HTTP.
            let said = proxy == .nginx ? visits[0].text : visits[0].failure ?? visits[0].end ?? ""
            let words = [
                Proxy.nginx: "No required SSL certificate was sent",
                .haproxy: "wants a client certificate: give --cert and --key",
            ]
            #expect(said.contains(words[proxy] ?? "?"), "\(visits)")
        }
    }

    @Test(
        arguments: Proxy.allCases,
        [
            ("other", "is for example.org, www.example.org, 192.0.2.7, not for localhost"),
            ("expired", "expired on "), ("unknown", "issuer unknown (CN=Somebody else): give --ca"),
        ])
    func `is told what is wrong with its certificate`(
        proxy: Proxy, fault: (name: String, words: String)
    ) throws {
        var rules = try Proxy.Rules(certificates, .tls13)
        rules.shows = fault.name
        try visits(1, proxy, rules, certificates.client()) {
            #expect($0[0].failure?.contains(fault.words) == true, "\($0)")
            #expect($0[0].session == nil)
        }
    }

    // MARK: - Our server

    /// Runs a proxy before a server of ours, and asks it so often without TLS.
    private func asks(
        _ count: Int, _ proxy: Proxy, _ rules: Proxy.Rules, _ context: TLSContext,
        then: @escaping ([Answer], SecureServer) -> Void
    ) throws {
        try withLoop { loop in
            let server = try SecureServer(loop: loop, context)
            let configuration = try proxy.client(rules, of: server.port)
            try proxy.run(on: loop, rules.folder, configuration) { port, end in
                var done: [Answer] = []
                func next() {
                    ask(loop, SocketAddress(.loopbackV4, port: port), "GET", "/") {
                        done.append($0)
                        if done.count < count { return next() }
                        then(done, server)
                        end()
                    }
                }
                next()
            } completion: {
                server.close()
            }
        }
    }

    @Test(arguments: Proxy.allCases, [TLSConfiguration.Version.tls12, .tls13])
    func `comes to us in both versions, resumes, and shows its certificate`(
        proxy: Proxy, version: TLSConfiguration.Version
    ) throws {
        let context = try certificates.server {
            $0.trust = .file(certificates.file("ca.pem"))
            $0.protocols = ["http/1.1"]
        }
        var rules = try Proxy.Rules(certificates, version)
        rules.shows = "client"
        try asks(3, proxy, rules, context) { answers, server in
            #expect(answers.map(\.status) == [200, 200, 200])
            #expect(answers.allSatisfy { $0.body == "hello\n" })
            let sessions = server.sessions
            #expect(sessions.map(\.isResumed) == [false, true, true])
            #expect(sessions.map(\.version) == [version, version, version])
            #expect(sessions.allSatisfy { $0.peerNames == "probe-7" })
            #expect(sessions.allSatisfy { $0.serverName == "localhost" })
            #expect(server.failures.isEmpty)
        }
    }

    @Test(arguments: Proxy.allCases, ["other", "expired", "unknown"])
    func `does not believe us with a bad certificate`(proxy: Proxy, name: String) throws {
        let rules = try Proxy.Rules(certificates, .tls13)
        try asks(1, proxy, rules, certificates.server(name)) { answers, server in
            #expect(answers[0].status == (proxy == .nginx ? 502 : 503))
            #expect(server.requestCount == 0)
        }
    }

    @Test(arguments: Proxy.allCases)
    func `is refused without a certificate`(proxy: Proxy) throws {
        let context = try certificates.server { $0.trust = .file(certificates.file("ca.pem")) }
        var rules = try Proxy.Rules(certificates, .tls13)
        rules.shows = nil
        try asks(1, proxy, rules, context) { answers, server in
            #expect([502, 503].contains(answers[0].status))
            let words = "the client showed no certificate, which is asked of it"
            #expect(Set(server.failures) == [words])
        }
    }
}
