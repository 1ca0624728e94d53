import Instrument
import Pacing
import Reactor
import Testing

@testable import LongLived

/// What a client tells of itself over HTTP.
@Suite(.serialized) struct ClientMetricsTests {
    private func control(_ loop: EventLoop, _ client: HoldClient) throws -> ControlPoint {
        let control = ControlPoint(loop: loop, logger: silent)
        client.expose(on: control)
        try control.listen(on: anyPort)
        return control
    }

    private func expect(_ text: String, _ lines: [String]) {
        for line in lines {
            #expect(text.contains("\n" + line + "\n"), "\(line) is missing in \(text)")
        }
    }

    @Test("while it waits: what is open and in flight; no index as long as nobody has answered")
    func waiting() throws {
        try withLoop { loop in
            let server = try server(loop, "pod-a") { $0.delay = .seconds(600) ... .seconds(600) }
            var control: ControlPoint?
            let client = try client(loop, server.address) {
                $0.connections = 4
            } onEnd: {
                server.drain(grace: .seconds(1)) {}
                control?.drain(grace: .zero) {}
            }
            control = try self.control(loop, client)
            client.start { _ in }
            when(loop, { server.waiting == 4 }) {
                ask(loop, control?.address, "/metrics") { text in
                    expect(
                        text,
                        [
                            "sonde_longlived_client_connections 4",
                            "sonde_longlived_client_open_connections 4",
                            "sonde_longlived_client_in_flight_requests 4",
                            "sonde_longlived_client_sent_total 4",
                            "sonde_longlived_client_failures_total{kind=\"timeout\"} 0",
                            "sonde_longlived_client_local_failures_total{kind=\"ports\"} 0",
                            "sonde_longlived_client_latency_seconds_count 0",
                            "sonde_longlived_client_connect_seconds_count 4",
                        ])
                    #expect(!text.contains("jain"))
                    ask(loop, control?.address, "/status") { status in
                        #expect(status.contains("\"inflight\":4"))
                        #expect(status.contains("\"jain\":null"))
                        ask(loop, control?.address, "/readyz") { ready in
                            #expect(ready.hasPrefix("HTTP/1.1 200 "))
                            client.stop()
                        }
                    }
                }
            }
        }
    }

    @Test("at the end every answer is counted by its pod, every failure by its kind; not ready")
    func ended() throws {
        try withLoop { loop in
            let answer = { (pod: String, status: String) in
                "HTTP/1.1 \(status)\r\nPod-Id: \(pod)\r\nContent-Length: 2\r\n\r\nok"
            }
            let answers = [
                answer("a", "200 OK"), answer("a", "200 OK"), answer("b\"", "200 OK"),
                answer("a", "503 Busy"), answer("a", "200 OK"),
            ]
            var number = 0
            var peers: [TCPConnection] = []
            let listener = try TCPListener(loop: loop, address: anyPort) { connection in
                peers.append(connection)
                connection.onRead = { connection, _ in
                    connection.write(Array(answers[min(number, 4)].utf8))
                    number += 1
                }
                connection.resumeReading()
            }
            var control: ControlPoint?
            var held: HoldClient?
            let client = try client(loop, listener.localAddress) {
                $0.requests = 5
            } onEnd: {
                listener.close()
                for peer in peers { peer.close() }
                ask(loop, control?.address, "/metrics") { text in
                    expect(
                        text,
                        [
                            "sonde_longlived_client_responses_total{server=\"a\"} 3",
                            "sonde_longlived_client_responses_total{server=\"b\\\"\"} 1",
                            "sonde_longlived_client_failures_total{kind=\"status\"} 1",
                            "sonde_longlived_client_latency_seconds_count 4",
                            "sonde_longlived_client_jain_index 0.8",
                            "sonde_longlived_client_sharing_pods 2",
                            "sonde_longlived_client_unsent_total 0",
                            "sonde_longlived_client_in_flight_requests 0",
                            "sonde_longlived_client_opened_total 1",
                            "sonde_longlived_client_reconnects_total 0",
                            "sonde_longlived_client_lost_total 0",
                        ])
                    ask(loop, control?.address, "/readyz") { ready in
                        #expect(ready.hasPrefix("HTTP/1.1 500 "))
                        held = nil
                        // The control point may outlive its client.
                        ask(loop, control?.address, "/metrics") { text in
                            #expect(text.contains("sonde_build_info{"))
                            control?.drain(grace: .zero) {}
                        }
                    }
                }
            }
            held = client
            control = try self.control(loop, client)
            client.start { _ in }
            loop.run()
            #expect(held == nil, "nobody asked")
        }
    }
}
