import Foundation
import Testing

/// Roles that listen with TLS, as curl meets them.
@Suite(.serialized, .enabled(if: Program.isInstalled("curl"), "curl is missing"))
struct TLSCommandTests {
    let certificates: Certificates

    init() throws { certificates = try Certificates.shared() }

    private var identity: [String] {
        ["--cert", certificates.file("server.pem"), "--key", certificates.file("server.key")]
    }
    private var metricsIdentity: [String] {
        [
            "--metrics-cert", certificates.file("server.pem"), "--metrics-key",
            certificates.file("server.key"),
        ]
    }

    private func curl(_ words: [String]) throws -> Program.Outcome {
        let path = try #require(Program.path("curl"))
        return try Program.run(
            ["-sS", "--cacert", certificates.file("ca.pem")] + words,
            executable: URL(fileURLWithPath: path))
    }

    /// Starts a role, and says where it listens: the last word of the line with this text.
    private func start(_ arguments: [String], _ text: String) throws -> (Running, String) {
        let running = try Running(arguments)
        let line = try #require(running.awaitLog(text))
        return (running, String(try #require(line.split(separator: " ").last)))
    }

    @Test("every role serves its API and its metrics over TLS, and not without")
    func everyRole() throws {
        for role in MetricsTests.roles {
            let dials = role[1] == "bench" || role[..<2] == ["longlived", "client"]
            let (running, address) = try start(
                role + (dials ? metricsIdentity : identity), "Server started with TLS on ")
            defer { running.terminate() }
            let metrics = try curl(["https://\(address)/metrics"])
            #expect(metrics.code == 0, "\(role): \(metrics.errors)")
            #expect(metrics.output.contains("\nsonde_tls_handshakes_total{"), "\(role)")
            #expect(try curl(["http://\(address)/healthz"]).code != 0, "\(role)")
        }
    }

    @Test("reload backend and longlived server answer requests over TLS, in both versions")
    func servers() throws {
        for (role, line, words) in [
            (
                ["reload", "backend", "b", "0", "--listen-address", "127.0.0.1"],
                "Backend b listens with TLS on ", "b\n"
            ),
            (
                ["longlived", "server", "--listen", "127.0.0.1:0", "--pod-id", "p"],
                "Pod p listens with TLS on ", "Response from Pod p\n"
            ),
        ] {
            let (running, address) = try start(role + identity, line)
            for version in [["--tls-max", "1.2"], ["--tlsv1.3"]] {
                let answer = try curl(version + ["https://\(address)/", "https://\(address)/"])
                #expect(answer.output == words + words, "\(answer.errors)")
            }
            running.terminate()
            let outcome = running.finish()
            #expect(outcome.code == 0 && outcome.output.contains("4 "), "\(outcome)")
        }
    }

    @Test("a client without a certificate is turned away where one is asked for, and logged")
    func clients() throws {
        let (running, address) = try start(
            ["netpol", "client", "--listen", "127.0.0.1:0"] + identity
                + ["--client-ca-file", certificates.file("ca.pem")],
            "Server started with TLS on ")
        defer { running.terminate() }
        let url = "https://\(address)/metrics"
        #expect(try curl([url]).code != 0)
        let line = try #require(running.awaitLog("TLS handshake with 127.0.0.1:"))
        #expect(
            line.hasSuffix(
                "failed: the client showed no certificate, which is asked of it (1 so far)"))
        let shown = try curl([
            "--cert", certificates.file("client.pem"), "--key", certificates.file("client.key"),
            url,
        ])
        for (result, count) in [("established", 1), ("certificate", 1)] {
            let sample =
                #"sonde_tls_handshakes_total{role="client",result="\#(result)"} \#(count)"#
            #expect(shown.output.contains(sample), "\(shown)")
        }
        // Who we are is verified as well.
        let port = address.split(separator: ":").last ?? ""
        let wrong = try curl([
            "--resolve", "example.org:\(port):127.0.0.1", "https://example.org:\(port)/",
        ])
        #expect(wrong.code == 60, "\(wrong.errors)")
    }

    @Test("half a pair is one line and exit code 64")
    func half() throws {
        let server = ["longlived", "server", "--listen", "127.0.0.1:0"]
        let bench = ["reload", "bench", "http://127.0.0.1:9/", "--csv", "/dev/null"]
        for (arguments, words) in [
            (server + ["--cert", "x"], "--cert: expected --key together with it"),
            (server + ["--key", "x"], "--key: expected --cert together with it"),
            (
                server + ["--client-ca-file", "x"],
                "--client-ca-file: has no meaning without --cert and --key"
            ),
            (
                bench + ["--metrics-listen", "127.0.0.1:0", "--metrics-key", "x"],
                "--metrics-key: expected --metrics-cert together with it"
            ),
            (bench + metricsIdentity, "--metrics-cert: has no meaning without --metrics-listen"),
        ] {
            let outcome = try Program.run(arguments)
            #expect(outcome.code == 64 && outcome.output.isEmpty, "\(outcome)")
            #expect(outcome.errors.contains(words), "\(outcome.errors)")
            #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
        }
    }

    @Test("files that cannot be used are one line and exit code 66")
    func unusable() throws {
        let (pem, key) = (certificates.file("server.pem"), certificates.file("server.key"))
        for (files, words) in [
            (["/nowhere.pem", key], "sonde: certificate file /nowhere.pem: "),
            ([pem, "/nowhere.key"], "sonde: key file /nowhere.key: "),
            ([key, key], "sonde: certificate file \(key): "),
            ([pem, certificates.file("client.key")], "is not that of the certificate in \(pem)"),
            ([pem, key, "/nowhere.pem"], "sonde: authorities in /nowhere.pem: "),
        ] {
            let flags = zip(["--cert", "--key", "--client-ca-file"], files).flatMap { [$0, $1] }
            let outcome = try Program.run(["netpol", "target", "--listen", "127.0.0.1:0"] + flags)
            #expect(outcome.code == 66 && outcome.output.isEmpty, "\(outcome)")
            #expect(outcome.errors.contains(words), "\(outcome.errors)")
            #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
        }
    }
}
