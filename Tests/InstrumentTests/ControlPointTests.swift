import Pacing
import Reactor
import Telemetry
import Testing

@testable import Instrument

/// The HTTP face of a role: who may use it, and what all roles tell of themselves.
@Suite struct ControlPointTests {
    private func control(
        _ loop: EventLoop, on address: SocketAddress = SocketAddress(.loopbackV4, port: 0),
        allowFrom: [String] = [], loopback: Bool = false, isReady: Bool = true
    ) throws -> ControlPoint {
        let control = ControlPoint(
            loop: loop, logger: silent,
            allowFrom: AccessRule(allowed: allowFrom.compactMap { CIDR($0) }, loopback: loopback))
        control.post("/check") { $1.respond(status: 200, literal: "checked\n") }
        control.common(
            role: "test", isReady: { isReady },
            status: { $0.member("phase", string: "idle") },
            metrics: {
                $0.family("sonde_test_total", .counter, help: "A role's own.")
                $0.sample(7)
            })
        try control.listen(on: address)
        return control
    }

    @Test("without --allow-from everybody is answered")
    func open() throws {
        try withLoop { loop in
            let control = try control(loop)
            ask(loop, control.address, [Ask(path: "/status"), Ask(method: "POST", path: "/check")])
            { answers in
                #expect(answers.map(\.status) == [200, 200])
                #expect(control.rejected == 0)
                control.drain(grace: .seconds(1)) {}
            }
        }
    }

    @Test("content is bounded in sum: 503 beside that of others, 413 where it never fits")
    func memory() throws {
        try withLoop { loop in
            let control = ControlPoint(
                loop: loop, logger: silent, maxBodyBytes: 1000, maxBodyMemory: 100)
            control.post("/check") { $1.respond(status: 200, literal: "checked\n") }
            try control.listen(on: SocketAddress(.loopbackV4, port: 0))
            let address = try #require(control.address)
            let holder = TCPConnection(loop: loop)
            holder.connect(to: address) { holder, _ in
                holder.write(
                    Array("POST /check HTTP/1.1\r\nHost: h\r\nContent-Length: 90\r\n\r\n".utf8)
                        + [UInt8](repeating: 0x78, count: 80))
                let long = String(repeating: "x", count: 101)
                let asks = [
                    Ask(method: "POST", path: "/check", body: String(long.prefix(20))),
                    Ask(method: "POST", path: "/check", body: String(long.prefix(21))),
                    Ask(method: "POST", path: "/check", body: long),
                ]
                ask(loop, control.address, asks) { answers in
                    #expect(answers.map(\.status) == [200, 503, 413])
                    holder.abort()
                    control.drain(grace: .seconds(1)) {}
                }
            }
        }
    }

    @Test("other sources get 403 and are counted, but for who asks for health and readiness")
    func rejects() throws {
        try withLoop { loop in
            let control = try control(loop, allowFrom: ["10.0.0.0/8", "::/0"], isReady: false)
            let long = String(repeating: "x", count: 60_000)
            ask(
                loop, control.address,
                [
                    Ask(path: "/metrics"), Ask(path: "/status"), Ask(path: "/nowhere"),
                    Ask(method: "POST", path: "/check", body: "[]"),
                    Ask(method: "POST", path: "/check", body: long),
                    Ask(path: "/healthz/../status"), Ask(path: "/healthz"), Ask(path: "/readyz"),
                ]
            ) { answers in
                #expect(answers.map(\.status) == [403, 403, 403, 403, 403, 403, 200, 500])
                #expect(answers[0].body == "127.0.0.1 may not use this API\n")
                #expect(answers[6].body == "ok\n")
                #expect(control.rejected == 6)
                control.drain(grace: .seconds(1)) {}
            }
        }
    }

    @Test("loopback, from where port-forwarding comes, may use it unless it is told otherwise")
    func loopback() throws {
        #expect(AccessRule().admitsLoopback)
        try withLoop { loop in
            let control = try control(loop, allowFrom: ["10.0.0.0/8"], loopback: true)
            ask(loop, control.address, [Ask(path: "/status"), Ask(method: "POST", path: "/check")])
            { answers in
                #expect(answers.map(\.status) == [200, 200])
                #expect(control.rejected == 0)
                control.drain(grace: .seconds(1)) {}
            }
        }
    }

    @Test("too much content is 413, but for a source that may not use the API at all: 403")
    func tooMuch() throws {
        try withLoop { loop in
            let controls = [try control(loop), try control(loop, allowFrom: ["10.0.0.0/8"])]
            let long = String(repeating: "x", count: 65_537)
            let asks = [
                Ask(method: "POST", path: "/check", body: String(long.dropLast())),
                Ask(method: "POST", path: "/check", body: long),
                Ask(method: "POST", path: "/check", body: String(repeating: "x", count: 2 << 20)),
                Ask(path: "/status", body: long),
            ]
            ask(loop, controls[0].address, asks) { answers in
                #expect(answers.map(\.status) == [200, 413, 413, 413])
                ask(loop, controls[1].address, asks) { answers in
                    #expect(answers.map(\.status) == [403, 403, 403, 403])
                    #expect(controls.map(\.rejected) == [0, 4])
                    for control in controls { control.drain(grace: .seconds(1)) {} }
                }
            }
        }
    }

    @Test("an IPv4 source is recognised on a dual-stack listener, an IPv6 one next to it rejected")
    func mapped() throws {
        try withLoop { loop in
            let control = try control(
                loop, on: SocketAddress(.anyV6, port: 0), allowFrom: ["127.0.0.0/8"])
            let port = try #require(control.address?.port)
            ask(loop, SocketAddress(.loopbackV6, port: port), [Ask(path: "/status")]) { answers in
                #expect(answers.map(\.status) == [403])
                ask(loop, SocketAddress(.loopbackV4, port: port), [Ask(path: "/metrics")]) {
                    answers in
                    #expect(answers.map(\.status) == [200])
                    let line = "sonde_control_rejected_total{role=\"test\"} 1\n"
                    #expect(answers[0].body.contains(line))
                    control.drain(grace: .seconds(1)) {}
                }
            }
        }
    }

    @Test("every role tells its build, its process, its loop and its requests, each family once")
    func families() throws {
        try withLoop { loop in
            let control = try control(loop)
            ask(loop, control.address, [Ask(path: "/status"), Ask(path: "/metrics")]) { answers in
                let body = answers[1].body
                var names: [String] = []
                for line in body.split(separator: "\n") where line.hasPrefix("# TYPE ") {
                    names.append(line.dropFirst(7).description)
                }
                #expect(
                    names == [
                        "sonde_build_info gauge", "sonde_http_requests_total counter",
                        "sonde_control_rejected_total counter", "process_cpu_seconds_total counter",
                        "process_resident_memory_bytes gauge", "process_open_fds gauge",
                        "process_max_fds gauge", "process_start_time_seconds gauge",
                        "sonde_loop_lag_seconds histogram", "sonde_loop_turn_seconds histogram",
                        "sonde_test_total counter",
                    ])
                #expect(body.contains("{version=\"\(Build.version)\",role=\"test\",libuv=\"1."))
                #expect(body.contains("sonde_http_requests_total{role=\"test\"} 2\n"))
                #expect(!body.contains("sonde_loop_turn_seconds_count 0\n"))
                control.drain(grace: .seconds(1)) {}
            }
        }
    }

    @Test("several control points of one loop share its meter")
    func shared() throws {
        try withLoop { loop in
            let (first, second) = (try control(loop), try control(loop))
            #expect(loop.meter() === loop.meter())
            #expect(loop.openHandles["prepare"] == 1)
            first.drain(grace: .zero) {}
            second.drain(grace: .zero) {}
        }
    }

    @Test(
        "an access rule admits what it names, loopback where it may, and kubelets everywhere",
        arguments: [
            ([], "203.0.113.9", "/check", true), (["10.0.0.0/8"], "10.1.2.3", "/check", true),
            (["10.0.0.0/8"], "11.0.0.1", "/check", false),
            (["10.0.0.0/8"], "::ffff:10.1.2.3", "/check", true),
            (["fd00::/8"], "10.1.2.3", "/check", false),
            (["fd00::/8", "192.0.2.7"], "192.0.2.7", "/metrics", true),
            (["10.0.0.0/8"], "11.0.0.1", "/healthz", true),
            (["10.0.0.0/8"], "11.0.0.1", "/readyz", true),
            (["10.0.0.0/8"], "11.0.0.1", "/healthz/", false),
            (["10.0.0.0/8"], nil, "/check", false),
            (["10.0.0.0/8"], "127.0.0.1", "/check", nil),
            (["10.0.0.0/8"], "127.255.255.254", "/check", nil),
            (["10.0.0.0/8"], "::1", "/check", nil),
            (["10.0.0.0/8"], "::ffff:127.0.0.1", "/check", nil),
            (["10.0.0.0/8"], "128.0.0.1", "/check", false),
            (["10.0.0.0/8"], "::2", "/check", false),
            (["127.0.0.0/8"], "127.0.0.1", "/check", true),
        ] as [([String], String?, String, Bool?)])
    func rule(allowed: [String], source: String?, path: String, expected: Bool?) {
        for loopback in [true, false] {
            let rule = AccessRule(allowed: allowed.compactMap { CIDR($0) }, loopback: loopback)
            #expect(rule.allowed.count == allowed.count)
            // Nil stands for what depends on whether loopback is admitted.
            let admitted = rule.admits(source.flatMap { IPAddress($0) }, to: path)
            #expect(admitted == expected ?? loopback)
        }
    }
}
