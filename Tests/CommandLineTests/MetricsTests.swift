import Foundation
import Testing

/// What the roles export, as Prometheus reads it.
@Suite(.serialized) struct MetricsTests {
    private static func isInstalled(_ name: String) -> Bool {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        return path.split(separator: ":").contains {
            FileManager.default.isExecutableFile(atPath: "\($0)/\(name)")
        }
    }

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
    ]

    private func start(_ arguments: [String]) throws -> (Running, String) {
        let running = try Running(arguments)
        let line = try #require(running.awaitLog("Server started on "))
        return (running, String(try #require(line.split(separator: " ").last)))
    }

    @Test(
        "promtool has nothing to complain about in any role's metrics, and all have the same base",
        .enabled(if: isInstalled("curl") && isInstalled("promtool"), "curl or promtool is missing"),
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
        "--allow-from keeps other sources out of every control endpoint",
        .enabled(if: isInstalled("curl"), "curl is missing"),
        arguments: roles.filter { !$0.contains("target") })
    func allowFrom(arguments: [String]) throws {
        let (running, address) = try start(arguments + ["--allow-from", "10.0.0.0/8"])
        defer { running.terminate() }
        for (path, expected) in [
            ("/metrics", "403"), ("/status", "403"), ("/results", "403"), ("/healthz", "200"),
        ] {
            let status = try Program.run(
                ["-c", "curl -s -o /dev/null -w '%{http_code}' http://\(address)\(path)"],
                executable: URL(fileURLWithPath: "/bin/sh"))
            #expect(status.output == expected, "\(path)")
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
