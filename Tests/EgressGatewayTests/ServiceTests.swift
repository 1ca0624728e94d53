import Pacing
import Reactor
import Telemetry
import Testing

@testable import EgressGateway

/// Both roles against each other, and against peers that behave otherwise, on loopback.
@Suite(.serialized) struct ServiceTests {
    @Test("an allowed source: ready, delay, metrics under the original's names")
    func success() throws {
        try withLoop { loop in
            let target = try target(loop, allowed: "127.0.0.0/8")
            try target.start()
            let client = client(loop, target: try #require(target.address))
            try client.start()
            var statuses: [Int] = []
            ask(loop, client.address, "/readyz") { status, head, body in
                statuses.append(status)
                #expect(head.contains("Content-Length: 0") && body.isEmpty)
            }
            when(loop, { client.isFinished && !statuses.isEmpty }) {
                #expect(client.hasSucceeded)
                ask(loop, client.address, "/readyz") { status, head, body in
                    #expect(status == 200 && head.contains("Content-Length: 0") && body.isEmpty)
                    ask(loop, client.address, "/metrics") { _, head, body in
                        #expect(head.contains("text/plain; version=0.0.4"))
                        for line in [
                            "egw_scale_test_leaked_requests_total 0\n",
                            "egw_scale_test_failed_tests_total 0\n",
                            "egw_scale_test_misses_total{kind=\"closed\"} 0\n",
                            "egw_scale_test_probes_total 1\n",
                            "# TYPE egw_scale_test_masquerade_delay_seconds_total counter\n",
                            "# TYPE sonde_probe_tracking_entries gauge\n",
                        ] {
                            #expect(body.contains(line), "\(line)")
                        }
                        // Nothing failed before: how far the delay is off is not known.
                        #expect(!body.contains("uncertainty"))
                        #expect(client.summary.contains("uncertainty unknown"))
                        client.drain(grace: .seconds(1)) {}
                        target.drain(grace: .seconds(1)) {}
                    }
                }
            }
        }
    }

    @Test("a source that is not allowed gets no byte: misses, failure, and 200 after the timeout")
    func failure() throws {
        try withLoop { loop in
            let target = try target(loop, allowed: "10.0.0.0/8") { $0.metricsListen = anyPort }
            try target.start()
            let client = client(loop, target: try #require(target.address)) {
                $0.testTimeout = .milliseconds(60)
            }
            try client.start()
            #expect(!client.isFinished)
            when(loop, { client.isFinished }) {
                #expect(!client.hasSucceeded && client.summary.contains("no answer"))
                let machine = client.prober?.machine
                #expect(machine?.misses(.closed) ?? 0 > 0)
                #expect(machine?.missCount == machine?.probes && machine?.inFlight == 0)
                ask(loop, client.address, "/metrics") { _, _, body in
                    #expect(body.contains("egw_scale_test_failed_tests_total 1\n"))
                    #expect(!body.contains("uncertainty"))
                    ask(loop, target.metricsAddress, "/metrics") { _, _, body in
                        #expect(body.contains("rejected_total{network=\"127.0.0.0/24\"} "))
                        #expect(body.contains("sonde_egw_target_answered_total 0\n"))
                        client.drain(grace: .seconds(1)) {}
                        target.drain(grace: .seconds(1)) {}
                    }
                }
            }
        }
    }

    @Test("wrong replies and closed ports are told apart, and the test goes on until pong")
    func kinds() throws {
        try withLoop { loop in
            var replies = ["ping\n", "pon", "", "pong\n"]
            var listener: TCPListener?
            listener = try TCPListener(loop: loop, address: anyPort) { connection in
                connection.write(Array((replies.count > 1 ? replies.removeFirst() : "pong\n").utf8))
                connection.closeAfterWriting()
            }
            let address = try #require(listener?.localAddress)
            let client = client(loop, target: address) { $0.interval = .milliseconds(20) }
            try client.start()
            when(loop, { client.isFinished }) {
                let machine = client.prober?.machine
                #expect(machine?.misses(.wrongReply) == 2 && machine?.misses(.closed) == 1)
                #expect(machine?.missCount == (machine?.probes ?? 0) - 1)
                #expect(client.summary.contains("wrong-reply 2"))
                listener?.close()
                client.drain(grace: .seconds(1)) {}
            }
        }
    }

    @Test("a target that is not there refuses, until it is there")
    func refused() throws {
        try withLoop { loop in
            let reserved = try TCPListener(loop: loop, address: anyPort) { _ in }
            let address = reserved.localAddress
            reserved.close()
            let log = LogCollector()
            let client = client(loop, target: address, logger: log.logger)
            try client.start()
            var late: ExternalTargetService?
            when(loop, { client.prober?.machine.misses(.refused) ?? 0 >= 3 }) {
                late = try? target(loop, allowed: "0.0.0.0/0") { $0.listen = address }
                #expect(throws: Never.self) { try late?.start() }
                when(loop, { client.isFinished }) {
                    #expect(client.hasSucceeded)
                    // It was not there: that says nothing sure about masquerading.
                    #expect(client.prober?.machine.notBefore == nil)
                    #expect(client.summary.contains(" presumed, "))
                    #expect(log.has(" presumed, "))
                    ask(loop, client.address, "/metrics") { _, _, body in
                        #expect(body.contains("uncertainty_seconds{evidence=\"presumed\"} "))
                        #expect(!body.contains("evidence=\"proven\""))
                        ask(loop, client.address, "/status") { _, _, body in
                            #expect(body.contains("\"notbefore\":null,\"uncertaintyms\":null,"))
                            #expect(body.contains("\"presumednotbefore\":\"20"))
                            client.drain(grace: .seconds(1)) {}
                            late?.drain(grace: .seconds(1)) {}
                        }
                    }
                }
            }
        }
    }

    @Test("closed before it was allowed: the bound is proven, in status, metrics and words")
    func proven() throws {
        try withLoop { loop in
            var refusals = 3
            var listener: TCPListener?
            listener = try TCPListener(loop: loop, address: anyPort) { connection in
                refusals -= 1
                if refusals < 0 { connection.write(MasqueradeMachine.pong) }
                connection.closeAfterWriting()
            }
            let client = client(loop, target: try #require(listener?.localAddress)) {
                $0.interval = .milliseconds(20)
            }
            try client.start()
            when(loop, { client.prober?.machine.phase == .done }) {
                #expect(client.summary.contains(" proven, "))
                ask(loop, client.address, "/metrics") { _, _, body in
                    #expect(body.contains("uncertainty_seconds{evidence=\"proven\"} "))
                    #expect(!body.contains("evidence=\"presumed\""))
                    #expect(body.contains("leaked_requests_total 3\n"))
                    listener?.close()
                    client.drain(grace: .seconds(1)) {}
                }
            }
        }
    }

    @Test("a name without an address: misses that are not held against the target")
    func unresolved() throws {
        try withLoop { loop in
            let name = try #require(EgressTarget("no-such-name.invalid:1"))
            let client = client(loop, target: anyPort) { $0.target = name }
            try client.start()
            when(loop, { client.prober?.machine.misses(.unresolved) ?? 0 > 0 }) {
                ask(loop, client.address, "/metrics") { _, _, body in
                    #expect(body.contains("egw_scale_test_leaked_requests_total 0\n"))
                    #expect(!body.contains("misses_total{kind=\"unresolved\"} 0\n"))
                    client.drain(grace: .seconds(1)) {}
                }
            }
        }
    }

    @Test("what was told of a moment stays when somebody sets the wall clock later")
    func clockStep() throws {
        try withLoop { loop in
            var step = Duration.zero
            let target = try target(loop, allowed: "127.0.0.0/8")
            try target.start()
            let address = try #require(target.address)
            let client = client(
                loop, target: address,
                readWallClock: {
                    WallClock(nanosecondsSinceEpoch: 0) + (loop.now - Instant(nanoseconds: 0))
                        + step
                })
            try client.start()
            when(loop, { client.isFinished }) {
                ask(loop, client.address, "/status") { _, _, before in
                    step = .seconds(3600)
                    ask(loop, client.address, "/status") { _, _, after in
                        let moments = [before, after].map { body in
                            body.split(separator: ",").filter {
                                $0.contains("startedat") || $0.contains("masqueradedat")
                            }
                        }
                        #expect(moments[0].count == 2 && moments[0] == moments[1])
                        client.drain(grace: .seconds(1)) {}
                        target.drain(grace: .seconds(1)) {}
                    }
                }
            }
        }
    }

    @Test("stress: as many as asked for, from the sources given; every close is counted")
    func stress() throws {
        try withLoop { loop in
            let target = try target(loop, allowed: "127.0.0.0/8") { $0.keepsOpen = true }
            try target.start()
            var stress = EgressClientConfiguration.Stress()
            stress.maximum = 300
            stress.sources = [.loopbackV4, try #require(IPAddress("127.0.0.2"))]
            let client = client(loop, target: try #require(target.address)) { $0.stress = stress }
            try client.start()
            when(loop, { client.isFinished }) {
                let machine = client.stress?.machine
                #expect(machine?.opened == 300 && machine?.end == .maximumReached)
                #expect(machine?.latency.count == 300 && machine?.closed == 0)
                when(loop, { target.open == 300 }) {
                    #expect(target.answered >= 301)
                    target.drain(grace: .zero) {}
                    when(loop, { client.stress?.machine.closed == 300 }) {
                        ask(loop, client.address, "/metrics") { _, _, body in
                            let name = "egw_scale_test_stress_connections_total"
                            #expect(body.contains("\(name){operation=\"open\"} 300\n"))
                            #expect(body.contains("\(name){operation=\"close\"} 300\n"))
                            #expect(body.contains("connection_latency_seconds_count 300\n"))
                            client.drain(grace: .seconds(1)) {}
                        }
                    }
                }
            }
        }
    }

    @Test("stress against a target that goes away ends after three failures")
    func targetGone() throws {
        try withLoop { loop in
            let target = try target(loop, allowed: "127.0.0.0/8")
            try target.start()
            var stress = EgressClientConfiguration.Stress()
            stress.concurrency = 1
            stress.delay = .milliseconds(50)
            let client = client(loop, target: try #require(target.address)) { $0.stress = stress }
            try client.start()
            when(loop, { client.hasSucceeded }) {
                #expect(!client.isFinished)
                target.drain(grace: .zero) {}
                when(loop, { client.isFinished }) {
                    let machine = client.stress?.machine
                    #expect(machine?.end == .targetFailed && machine?.targetFailures == 3)
                    #expect(client.hasSucceeded && client.summary.contains("target-failed"))
                    client.drain(grace: .seconds(1)) {}
                }
            }
        }
    }

    @Test("IPv4 sources of a dual-stack listener are matched as IPv4, IPv6 ones as IPv6")
    func families() throws {
        try withLoop { loop in
            let target = try target(loop, allowed: "127.0.0.0/8") {
                $0.listen = SocketAddress(.anyV6, port: 0)
                $0.allowed.append(CIDR(.loopbackV6, prefixLength: 128))
            }
            try target.start()
            let port = try #require(target.address).port
            let clients = [IPAddress.loopbackV4, .loopbackV6].map {
                client(loop, target: SocketAddress($0, port: port))
            }
            for client in clients { try client.start() }
            when(loop, { clients.allSatisfy(\.isFinished) }) {
                #expect(clients.allSatisfy(\.hasSucceeded) && target.answered >= 2)
                for client in clients { client.drain(grace: .seconds(1)) {} }
                target.drain(grace: .seconds(1)) {}
            }
        }
    }

    @Test("the record has a line for every connection, in order, with its source")
    func record() throws {
        let folder = try Folder()
        let path = folder.path("record.csv")
        try withLoop { loop in
            let target = try target(loop, allowed: "127.0.0.2/32") { $0.recordPath = path }
            try target.start()
            let address = try #require(target.address)
            var ended = 0
            for source in ["127.0.0.2", "127.0.0.3"] {
                let connection = TCPConnection(loop: loop)
                connection.onEnd = { connection, _ in
                    ended += 1
                    connection.close()
                }
                let own = SocketAddress(try #require(IPAddress(source)), port: 0)
                connection.connect(to: address, from: own, readsAtOnce: true) { _, _ in }
            }
            when(loop, { ended == 2 }) { target.drain(grace: .seconds(1)) {} }
        }
        let lines = folder.text("record.csv").split(separator: "\n")
        #expect(lines.count == 3 && lines.first == "time,source,port,answered")
        let fields = lines.dropFirst().map { $0.split(separator: ",") }
        let answered = Dictionary(
            uniqueKeysWithValues: fields.map { (String($0[1]), String($0[3])) })
        #expect(answered == ["127.0.0.2": "true", "127.0.0.3": "false"])
        #expect(fields.allSatisfy { $0[0].hasSuffix("Z") && UInt16($0[2]) ?? 0 > 0 })
    }

    @Test("a port that is taken is an error that names the address")
    func port() throws {
        try withLoop { loop in
            let first = try target(loop, allowed: "127.0.0.0/8")
            try first.start()
            let second = try target(loop, allowed: "127.0.0.0/8") {
                $0.listen = first.address ?? anyPort
            }
            #expect { try second.start() } throws: { ($0 as? UVError)?.kind == .addressInUse }
            second.drain(grace: .zero) {}
            first.drain(grace: .zero) {}
        }
    }
}
