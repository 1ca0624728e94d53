import Instrument
import Pacing
import Reactor
import Testing

@testable import ProxyReload

/// What bench and backend tell of themselves over HTTP.
@Suite(.serialized) struct MetricsTests {
    private func expect(_ text: String, _ lines: [String]) {
        for line in lines {
            #expect(text.contains("\n" + line + "\n"), "\(line) is missing in \(text)")
        }
    }

    /// Answers in turn; then it keeps silent.
    private func peer(_ loop: EventLoop) throws -> ScriptedPeer {
        let answers: [ScriptedPeer.Answer] = [
            .bytes(response(id: "a", port: 7)), .bytes(response("503 Busy", id: "b", port: 8)),
            .reset, .bytes(response("299 Odd", id: "a", port: 8)),
            .bytes(response("298 Odd", id: "a\\", port: 8)),
        ]
        var number = 0
        return try ScriptedPeer(loop) { _, _ in
            number += 1
            return number <= answers.count ? answers[number - 1] : .silence
        }
    }

    @Test("a bench tells outcomes, changes, instances and what is under way, as it counted them")
    func benchFamilies() throws {
        try withLoop { loop in
            let peer = try peer(loop)
            let control = ControlPoint(loop: loop, logger: silent)
            let bench = try bench(loop, peer.address) {
                $0.clients = 1
            } done: { _ in
                peer.close()
                ask(loop, control.address, "/readyz") { ready in
                    #expect(ready.hasPrefix("HTTP/1.1 500 "))
                    control.drain(grace: .zero) {}
                }
            }
            bench.expose(on: control)
            try control.listen(on: anyPort)
            when(loop, { peer.requests == 6 }) { [weak bench] in
                bench?.mark()
                ask(loop, control.address, "/metrics") { text in
                    expect(text, Self.expected)
                    #expect(text.contains("\nsonde_reload_bench_own_delay_seconds_count "))
                    #expect(!text.contains("unsent") && !text.contains("outcome=\"local"))
                    ask(loop, control.address, "/status") { status in
                        #expect(
                            status.contains(
                                "\"requests\":5,\"success\":1,\"failure\":4,\"local\":0"))
                        ask(loop, control.address, "/readyz") { ready in
                            #expect(ready.hasPrefix("HTTP/1.1 200 "))
                            bench?.stop()
                            bench?.stop()
                        }
                    }
                }
            }
        }
    }

    private static let expected = [
        "sonde_reload_bench_requests_total{outcome=\"success\"} 1",
        "sonde_reload_bench_requests_total{outcome=\"refused\"} 0",
        "sonde_reload_bench_requests_total{outcome=\"reset\"} 0",
        "sonde_reload_bench_requests_total{outcome=\"reused-reset\"} 1",
        "sonde_reload_bench_local_failures_total{kind=\"descriptors\"} 0",
        "sonde_reload_bench_local_failures_total{kind=\"ports\"} 0",
        "sonde_reload_bench_local_failures_total{kind=\"other\"} 0",
        "sonde_reload_bench_requests_total{outcome=\"503\"} 1",
        "sonde_reload_bench_requests_total{outcome=\"2xx\"} 2",
        "sonde_reload_bench_front_changes_total 1", "sonde_reload_bench_back_changes_total 1",
        "sonde_reload_bench_answers_total{backend=\"a\"} 2",
        "sonde_reload_bench_answers_total{backend=\"b\"} 1",
        "sonde_reload_bench_answers_total{backend=\"a\\\\\"} 1", "sonde_reload_bench_instances 3",
        "sonde_reload_bench_clients 1", "sonde_reload_bench_in_flight_requests 1",
        "sonde_reload_bench_events_total 1", "sonde_reload_bench_latency_seconds_count 4",
        "sonde_reload_bench_latency_seconds_bucket{le=\"+Inf\"} 4",
    ]

    @Test("the open loop tells how late it is itself, too")
    func openLoop() throws {
        try withLoop { loop in
            let backend = try backend(loop)
            let control = ControlPoint(loop: loop, logger: silent)
            let bench = try bench(loop, backend.address) {
                $0.rate = 2000
            } done: { _ in
                control.drain(grace: .zero) {}
                backend.drain(grace: .seconds(1)) {}
            }
            bench.expose(on: control)
            try control.listen(on: anyPort)
            when(loop, { backend.answered > 10 }) { [weak bench] in
                ask(loop, control.address, "/metrics") { text in
                    #expect(text.contains("\nsonde_reload_bench_unsent_requests "))
                    #expect(text.contains("\nsonde_reload_bench_own_delay_seconds_bucket{le="))
                    #expect(!text.contains("\nsonde_reload_bench_own_delay_seconds_count 0\n"))
                    bench?.stop()
                }
            }
        }
    }

    @Test("a backend tells what it received and answered, and who is connected")
    func backendFamilies() throws {
        try withLoop { loop in
            let backend = try backend(loop, "pod-a") { $0.metricsListen = anyPort }
            try bench(loop, backend.address) {
                $0.clients = 2
                $0.requests = 30
            } done: { _ in
                when(loop, { backend.answered == 30 }) {
                    ask(loop, backend.metricsAddress, "/metrics") { text in
                        expect(
                            text,
                            [
                                "sonde_reload_backend_requests_total 30",
                                "sonde_reload_backend_answered_total 30",
                            ])
                        #expect(text.contains("\nsonde_reload_backend_open_connections "))
                        ask(loop, backend.metricsAddress, "/status") { status in
                            #expect(status.contains("\"id\":\"pod-a\",\"requests\":30"))
                            backend.drain(grace: .seconds(1)) {}
                        }
                    }
                }
            }
        }
    }

    @Test("a backend whose metrics cannot be served does not run at all")
    func taken() throws {
        try withLoop { loop in
            let first = try backend(loop) { $0.metricsListen = anyPort }
            let address = first.metricsAddress
            #expect(throws: UVError.self) {
                try backend(loop) { $0.metricsListen = address }
            }
            first.drain(grace: .zero) {}
        }
    }
}
