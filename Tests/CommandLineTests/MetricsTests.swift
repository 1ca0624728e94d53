import Foundation
import Testing

/// What the roles export, as Prometheus reads it.
@Suite(.serialized) struct MetricsTests {
    /// Every role that serves metrics.
    static let roles: [[String]] = [
        ["netpol", "client", "--listen", "127.0.0.1:0"],
        ["netpol", "proxy", "--listen", "127.0.0.1:0"],
        ["netpol", "target", "--listen", "127.0.0.1:0"],
        [
            "egw", "client", "--external-target-addr", "127.0.0.1:9", "--stress", "--listen",
            "127.0.0.1:0",
        ],
        [
            "egw", "external-target", "--listen-address", "127.0.0.1", "--listen-port", "0",
            "--allowed-cidr", "127.0.0.0/8", "--metrics-listen", "127.0.0.1:0",
        ],
        [
            "reload", "backend", "a", "0", "--listen-address", "127.0.0.1", "--metrics-listen",
            "127.0.0.1:0",
        ],
        [
            "reload", "bench", "http://127.0.0.1:9/", "--rate", "50", "--csv", "/dev/null",
            "--quiet", "--metrics-listen", "127.0.0.1:0",
        ],
        [
            "longlived", "server", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0",
        ],
        [
            "longlived", "client", "http://127.0.0.1:9/", "--quiet", "--metrics-listen",
            "127.0.0.1:0",
        ],
    ]

    private func start(_ arguments: [String]) throws -> (Running, String) {
        let running = try Running(arguments)
        let line = try #require(running.awaitLog("Server started on "))
        return (running, String(try #require(line.split(separator: " ").last)))
    }

    @Test(
        "promtool has nothing to complain about in any role's metrics, and all have the same base",
        .enabled(
            if: Program.isInstalled("curl") && Program.isInstalled("promtool"),
            "curl or promtool is missing"),
        arguments: roles)
    func linted(arguments: [String]) throws {
        let (running, address) = try start(arguments)
        defer { running.terminate() }
        let shell = URL(fileURLWithPath: "/bin/sh")
        let fetch = "curl -sf http://\(address)/metrics"
        let metrics = try Program.run(["-c", fetch], executable: shell).output
        for name in [
            "sonde_build_info{", "process_cpu_seconds_total ", "process_resident_memory_bytes ",
            "process_open_fds ", "process_max_fds ", "process_start_time_seconds ",
            "sonde_loop_lag_seconds_count ", "sonde_loop_turn_seconds_count ",
            "sonde_http_requests_total{", "sonde_control_rejected_total{",
        ] {
            #expect(metrics.contains("\n\(name)"), "\(name)")
        }
        let lint = try Program.run(
            ["-c", "\(fetch) | promtool check metrics"], executable: shell)
        #expect(lint.code == 0 && lint.errors.isEmpty, "\(lint.errors)\(lint.output)")
    }

    @Test(
        "--allow-from keeps other sources out of every control endpoint, loopback only if told so",
        .enabled(if: Program.isInstalled("curl"), "curl is missing"),
        arguments: roles.filter { !$0.contains("target") })
    func allowFrom(arguments: [String]) throws {
        for (more, expected) in [([], "200"), (["--allow-from-loopback=false"], "403")] {
            let (running, address) = try start(arguments + ["--allow-from", "10.0.0.0/8"] + more)
            defer { running.terminate() }
            for (path, expected) in [
                ("/metrics", expected), ("/status", expected), ("/healthz", "200"),
            ] {
                let status = try Program.run(
                    ["-c", "curl -s -o /dev/null -w '%{http_code}' http://\(address)\(path)"],
                    executable: URL(fileURLWithPath: "/bin/sh"))
                #expect(status.output == expected, "\(path)")
            }
        }
    }

    private func fetch(_ url: String) throws -> String {
        try Program.run(
            ["-c", "curl -s \(url)"], executable: URL(fileURLWithPath: "/bin/sh")
        ).output
    }

    @Test(
        "a run serves its metrics until it is interrupted, and ends as it does without them",
        .enabled(if: Program.isInstalled("curl"), "curl is missing"),
        arguments: [
            (["reload", "bench", "--csv", "/dev/null"], "sonde_reload_bench_requests_total"),
            (["longlived", "client"], "sonde_longlived_client_failures_total"),
        ])
    func ending(arguments: [String], family: String) throws {
        let (running, address) = try start(
            arguments + ["http://127.0.0.1:9/", "--quiet", "--metrics-listen", "127.0.0.1:0"])
        let metrics = try fetch("http://\(address)/metrics")
        #expect(metrics.contains("\n\(family){"))
        let ready = try fetch("-o /dev/null -w '%{http_code}' http://\(address)/readyz")
        #expect(ready == "200")
        running.interrupt()
        let outcome = running.finish()
        #expect(outcome.code == 1, "nobody answered: \(outcome.errors)")
    }

    @Test("where metrics are served for the asking, a port that is taken is exit code 69")
    func taken() throws {
        let (running, address) = try start(Self.roles[5])
        defer { running.terminate() }
        for arguments in Self.roles[5...] {
            var arguments = arguments
            arguments[arguments.count - 1] = address
            let outcome = try Program.run(arguments)
            #expect(outcome.code == 69, "\(arguments)")
            #expect(
                outcome.errors.split(separator: "\n").last
                    == "sonde: listen on \(address): address already in use", "\(arguments)")
        }
    }

    @Test(
        "--allow-from without --metrics-listen keeps nobody out, and is one line and exit code 64")
    func nothingToAllow() throws {
        for arguments in [
            // All of them would end at once, too, if they began.
            ["reload", "backend", "a", "0", "--listen-address", "192.0.2.1"],
            ["reload", "bench", "http://127.0.0.1:9/", "--duration", "1ms", "--csv", "/dev/null"],
            ["longlived", "client", "http://127.0.0.1:9/", "--duration", "1ms"],
        ] {
            let outcome = try Program.run(arguments + ["--allow-from", "10.0.0.0/8"])
            #expect(outcome.code == 64 && outcome.output.isEmpty)
            #expect(
                outcome.errors.contains("--allow-from")
                    && outcome.errors.contains("--metrics-listen"))
            #expect(outcome.errors.split(separator: "\n").count == 1)
        }
    }

    @Test("--allow-from-loopback without --allow-from, or with no boolean, is exit code 64")
    func loopback() throws {
        for arguments in Self.roles.filter({ !$0.contains("target") }) {
            for (more, words) in [
                (["--allow-from-loopback=false"], "has no meaning without --allow-from"),
                (["--allow-from", "::/0", "--allow-from-loopback=maybe"], "maybe"),
            ] {
                let outcome = try Program.run(arguments + more)
                #expect(outcome.code == 64)
                #expect(outcome.errors.contains("--allow-from-loopback"), "\(outcome.errors)")
                #expect(outcome.errors.contains(words), "\(outcome.errors)")
                #expect(outcome.errors.split(separator: "\n").count == 1)
            }
        }
    }

    @Test("an --allow-from that is no block of addresses is one line and exit code 64")
    func wrong() throws {
        for arguments in Self.roles.filter({ !$0.contains("target") }) {
            let outcome = try Program.run(arguments + ["--allow-from", "10.0.0.0/40"])
            #expect(outcome.code == 64)
            #expect(outcome.errors.contains("--allow-from <cidr>': expected a block of addresses"))
            #expect(outcome.errors.split(separator: "\n").count == 1)
        }
    }
}
