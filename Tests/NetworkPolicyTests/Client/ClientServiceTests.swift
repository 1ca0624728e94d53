import Logging
import Pacing
import Reactor
import Testing

@testable import NetworkPolicy

/// The client pod over real sockets, with targets of every kind.
@Suite struct ClientServiceTests {
    private func service(
        _ loop: EventLoop, logger: Logger = silent,
        _ change: (inout ClientConfiguration) -> Void = { _ in }
    ) throws -> ClientService {
        var configuration = ClientConfiguration()
        configuration.listen = anyPort
        configuration.interval = .milliseconds(10)
        configuration.idleInterval = .milliseconds(20)
        change(&configuration)
        let service = ClientService(loop: loop, configuration: configuration, logger: logger)
        try service.start()
        return service
    }

    private func list(_ address: SocketAddress, policy: String = "ingress-0-1") -> String {
        """
        [{"addresses":["\(address.ipAddress)"],"ports":[\(address.port)],"netpol":"\(policy)"}]
        """
    }

    /// A target that answers every connection with `pieces`, one a turn, and then closes or waits.
    private func target(
        _ loop: EventLoop, on address: SocketAddress = anyPort, _ pieces: [String],
        closes: Bool = false
    ) throws -> TCPListener {
        try TCPListener(loop: loop, address: address) { connection in
            var left = pieces[...]
            func next(_ connection: TCPConnection) {
                guard let piece = left.popFirst() else {
                    if closes { connection.closeAfterWriting() }
                    return
                }
                connection.write(Array(piece.utf8))
                loop.enqueue { next(connection) }
            }
            connection.onRead = { connection, _ in next(connection) }
            connection.onEnd = { connection, _ in connection.close() }
            connection.resumeReading()
        }
    }

    @Test(
        "a 200 counts at its head, however it comes and whatever follows",
        arguments: [
            (["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], false),
            (["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"], false),
            (["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"], false),
            (["HTTP/1.0 200 OK\r\n\r\n", "until close"], true),
            (["HTTP/1.1 2", "00 OK\r\nContent-", "Length: 0\r\n\r", "\n"], false),
            (["HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"], false),
            (["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n"], true),
        ])
    func answers(pieces: [String], closes: Bool) throws {
        try withLoop { loop in
            let target = try target(loop, pieces, closes: closes)
            let client = try service(loop)
            ask(loop, client.address, "POST", "/check", body: list(target.localAddress)) {
                status, body, _ in
                #expect(status == 200 && body == "Check Request received, processing...\n")
            }
            when(loop, { client.isDone }) {
                ask(loop, client.address, "GET", "/results") { status, body, _ in
                    #expect(status == 200)
                    let results =
                        (try? body.utf8.withContiguousStorageIfAvailable {
                            try ConnectionResult.read(UnsafeRawBufferPointer($0))
                        }) ?? nil
                    #expect(results?.count == 1)
                    #expect(results?.first?.policy == "ingress-0-1")
                    #expect(results?.first?.port == target.localAddress.port)
                    #expect(results?.first?.notBefore == nil)
                    target.close()
                    client.drain(grace: .seconds(1)) {}
                }
            }
        }
    }

    @Test("an empty address is passed over, counted and listed, and the rest is measured")
    func skipped() throws {
        try withLoop { loop in
            let target = try target(loop, ["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
            let client = try service(loop)
            let list =
                #"[{"addresses":["","127.0.0.1"],"ports":[\#(target.localAddress.port),0],"#
                + #""netpol":"p"}]"#
            ask(loop, client.address, "POST", "/check", body: list) { status, _, _ in
                #expect(status == 200)
            }
            when(loop, { client.isDone }) {
                #expect(client.detected == 1)
                ask(loop, client.address, "GET", "/status") { _, body, _ in
                    #expect(
                        body.contains(
                            #""targets":1,"skipped":2,"skippedEntries":[{"kind":"address","#
                                + #""value":"","connectionidx":0,"npname":"p"},{"kind":"port","#
                                + #""value":"0","connectionidx":0,"npname":"p"}]"#))
                    ask(loop, client.address, "GET", "/metrics") { _, body, _ in
                        for sample in ["client\"} 0\n", "address\"} 1\n", "port\"} 1\n"] {
                            let name = "sonde_netpol_skipped_entries_total{kind=\""
                            #expect(body.contains(name + sample), "\(sample)")
                        }
                        target.close()
                        client.drain(grace: .seconds(1)) {}
                    }
                }
            }
        }
    }

    @Test(
        "anything else is a failure of its kind, and probing goes on",
        arguments: [
            ("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", ProbeFailure.status),
            ("HTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", .status),
            ("SSH-2.0-OpenSSH_9.2\r\n", .malformed),
            ("HTTP/1.1 200 OK\r\nContent-Le", .reset),
        ])
    func failures(answer: String, reason: ProbeFailure) throws {
        try withLoop { loop in
            let target = try target(loop, [answer], closes: true)
            let client = try service(loop) { $0.usesGate = false }
            ask(loop, client.address, "POST", "/check", body: list(target.localAddress)) {
                _, _, _ in
                when(loop, { client.failures(reason) >= 5 }) {
                    #expect(client.detected == 0)
                    ask(loop, client.address, "GET", "/results") { _, body, _ in
                        #expect(body == "[]\n")
                        target.close()
                        client.drain(grace: .seconds(1)) {}
                    }
                }
            }
        }
    }

    @Test(
        "a closed port that opens is found, with a bound below it", arguments: ["127.0.0.1", "::1"])
    func opens(host: String) throws {
        try withLoop { loop in
            let ip = try #require(IPAddress(host))
            let probe = try TCPListener(loop: loop, address: SocketAddress(ip, port: 0)) { _ in }
            let address = probe.localAddress
            probe.close()
            let client = try service(loop)
            ask(loop, client.address, "POST", "/check", body: list(address)) { _, _, _ in
                when(loop, { client.failures(.refused) >= 4 }) {
                    let target = try? target(
                        loop, on: address, ["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
                    #expect(target != nil)
                    when(loop, { client.isDone }) {
                        ask(loop, client.address, "GET", "/results") { _, body, _ in
                            #expect(body.contains("\"address\":\"\(host)\""))
                            #expect(!body.contains("\"notbefore\":null"))
                            target?.close()
                            client.drain(grace: .seconds(1)) {}
                        }
                    }
                }
            }
        }
    }

    @Test("a second list replaces the first: its probes end, its results are gone")
    func replaces() throws {
        try withLoop { loop in
            let first = try target(loop, ["HTTP/1.1 200 OK\r\n\r\n"])
            let second = try target(loop, ["HTTP/1.1 200 OK\r\n\r\n"])
            let client = try service(loop)
            ask(loop, client.address, "POST", "/check", body: list(first.localAddress)) { _, _, _ in
                when(loop, { client.isDone }) {
                    ask(
                        loop, client.address, "POST", "/check",
                        body: list(second.localAddress, policy: "second")
                    ) { _, _, _ in
                        when(loop, { client.isDone }) {
                            ask(loop, client.address, "GET", "/results") { _, body, _ in
                                #expect(body.contains("\"npname\":\"second\""))
                                #expect(!body.contains("ingress-0-1"))
                                expectMetrics(loop, client) {
                                    first.close()
                                    second.close()
                                    client.drain(grace: .seconds(1)) {}
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// Two runs with one target each, which answered the first probe: counters hold both.
    private func expectMetrics(
        _ loop: EventLoop, _ client: ClientService, then: @escaping () -> Void
    ) {
        ask(loop, client.address, "GET", "/metrics") { _, body, _ in
            for line in [
                "sonde_netpol_runs_total 2", "sonde_netpol_targets{state=\"detected\"} 1",
                "sonde_netpol_targets{state=\"pending\"} 0", "sonde_netpol_probes_in_flight 0",
                "sonde_netpol_detection_seconds_count 2",
                "sonde_netpol_uncertainty_seconds_count 0",
                "sonde_netpol_unbounded_results_total 2",
                "sonde_netpol_probes_total{outcome=\"refused\"} 0",
                "sonde_netpol_probes_total{outcome=\"unresolved\"} 0",
                "sonde_probe_tracking_entries 0",
            ] {
                #expect(body.contains(line + "\n"), "\(line)")
            }
            #expect(!body.contains("sonde_netpol_probes_total{outcome=\"answered\"} 0\n"))
            then()
        }
    }

    @Test("a probe counts under one outcome when it ends: answers, failures and cancellations")
    func outcomes() {
        var ledger = ProbeLedger(targets: 1, expectation: .allow, attempts: 3)
        var actions: [ProbeAction] = []
        for _ in 0..<7 {
            ledger.launched(
                0, lowerLoad: "--max-rate", now: Instant(nanoseconds: 1), &actions)
        }
        var flight = Flight()
        flight.target = 0
        ledger.failed(flight, .refused, now: Instant(nanoseconds: 2), &actions)
        ledger.failed(flight, .local, now: Instant(nanoseconds: 2), &actions)
        ledger.answered(flight, now: Instant(nanoseconds: 3), &actions)
        ledger.answered(flight, now: Instant(nanoseconds: 4), &actions)
        var figures = ClientFigures()
        figures.count(ledger, inFlight: 2)
        #expect(figures.answered == 2 && figures.cancelled == 1)
        #expect(figures.failures[Int(ProbeFailure.refused.rawValue)] == 1)
        var twice = figures
        twice.add(figures)
        #expect(twice.answered == 4 && twice.cancelled == 2)
        #expect(twice.failures.reduce(0, +) == 4)
    }

    @Test(
        "wrong requests get the right status, and a running measurement goes on",
        arguments: [
            ("POST", "/check", "", 400), ("POST", "/check", "{}", 400),
            ("POST", "/check", #"[{"addresses":["10.0.0.1"],"ports":["80"]}]"#, 400),
            ("POST", "/check", "[{]", 400), ("GET", "/check", "", 405),
            ("POST", "/results", "", 405), ("GET", "/nowhere", "", 404),
            ("POST", "/check", String(repeating: " ", count: 5000), 413),
            ("GET", "/healthz", "", 200), ("GET", "/readyz", "", 200), ("GET", "/status", "", 200),
            ("GET", "/metrics", "", 200),
        ])
    func statuses(method: String, path: String, body: String, expected: Int) throws {
        try withLoop { loop in
            let client = try service(loop) { $0.maxBodyBytes = 4096 }
            let target = try target(loop, ["HTTP/1.1 200 OK\r\n\r\n"])
            ask(loop, client.address, "POST", "/check", body: list(target.localAddress)) {
                _, _, _ in
                when(loop, { client.isDone }) {
                    ask(loop, client.address, method, path, body: body) { status, text, head in
                        #expect(status == expected, "\(head)\n\(text)")
                        if expected == 405 { #expect(head.contains("Allow: ")) }
                        if expected == 400 { #expect(text.contains("byte ")) }
                        #expect(client.detected == 1, "what was measured is lost")
                        target.close()
                        client.drain(grace: .seconds(1)) {}
                    }
                }
            }
        }
    }

    @Test("an empty list and null are valid, and done at once", arguments: ["[]", "null"])
    func empty(body: String) throws {
        try withLoop { loop in
            let client = try service(loop)
            ask(loop, client.address, "POST", "/check", body: body) { status, _, _ in
                #expect(status == 200 && client.isDone)
                ask(loop, client.address, "GET", "/results") { _, body, _ in
                    #expect(body == "[]\n")
                    client.drain(grace: .seconds(1)) {}
                }
            }
        }
    }

    @Test("a drain in mid-run breaks every probe off and leaves nothing open")
    func drains() throws {
        try withLoop { loop in
            let mute = try target(loop, [])
            let client = try service(loop) { $0.usesGate = false }
            var isDrained = false
            ask(loop, client.address, "POST", "/check", body: list(mute.localAddress)) { _, _, _ in
                when(loop, { client.inFlight >= 3 }) {
                    client.drain(grace: .seconds(1)) {
                        isDrained = true
                        mute.close()
                    }
                    #expect(client.inFlight == 0 && client.detected == 0)
                }
            }
            loop.run()
            #expect(isDrained)
        }
    }

    @Test("a name is looked up for every probe; one that does not resolve is a kind of its own")
    func names() throws {
        let log = LogCollector()
        try withLoop { loop in
            let client = try service(loop, logger: log.logger) { $0.usesGate = false }
            let list = #"[{"addresses":["no-such-host.invalid"],"ports":[80],"netpol":"x"}]"#
            ask(loop, client.address, "POST", "/check", body: list) { _, _, _ in
                when(loop, { client.failures(.unresolved) >= 4 }) {
                    #expect(client.failures(.unreachable) + client.failures(.timedOut) == 0)
                    #expect(client.runLedger?.failedTargets == 0)
                    #expect(client.runLedger?.targets.first?.lowerBound == 0)
                    #expect(client.runLedger?.load.entries(at: loop.now) == client.inFlight)
                    ask(loop, client.address, "GET", "/status") { _, body, _ in
                        #expect(body.contains("\"unreachable\":0"))
                        #expect(!body.contains("\"unresolved\":0"))
                        client.drain(grace: .seconds(1)) {}
                    }
                }
            }
        }
        #expect(log.has("no-such-host.invalid:80 (unresolved, failure 1)"))
    }

    @Test("uncertainty is unknown before the first result, and then known; one target never opens")
    func uncertainty() throws {
        let log = LogCollector()
        try withLoop { loop in
            let port = try freePort(loop)
            let closed = try freePort(loop)
            let client = try service(loop, logger: log.logger) { $0.usesGate = false }
            let list = #"[{"addresses":["127.0.0.1"],"ports":[\#(port),\#(closed)],"netpol":"x"}]"#
            ask(loop, client.address, "POST", "/check", body: list) { _, _, _ in
                when(loop, { client.failures(.refused) >= 4 }) {
                    ask(loop, client.address, "GET", "/status") { _, body, _ in
                        #expect(body.contains(#""longestRoundTripMs":null"#))
                        #expect(body.contains(#""largestUncertaintyMs":null"#))
                        let target = try? target(
                            loop, on: SocketAddress(.loopbackV4, port: port),
                            ["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
                        #expect(target != nil)
                        when(loop, { client.detected == 1 }) {
                            expectUncertainty(loop, client) { target?.close() }
                        }
                    }
                }
            }
        }
        #expect(log.has("So far: 1 of 2 targets detected, largest uncertainty "))
        #expect(log.has("Stopped: 1 of 2 targets detected, largest uncertainty "))
        #expect(log.has("Probe load: at most "))
        #expect(!log.has("uncertainty unknown"))
    }

    private func expectUncertainty(
        _ loop: EventLoop, _ client: ClientService, then: @escaping () -> Void
    ) {
        ask(loop, client.address, "GET", "/status") { _, body, _ in
            #expect(!body.contains(#""largestUncertaintyMs":null"#))
            #expect(!body.contains(#""largestUncertaintyMs":0,"#))
            #expect(body.contains(#""withoutLowerBound":0"#))
            ask(loop, client.address, "GET", "/results") { _, body, _ in
                #expect(body.contains(#""connectedat":"2"#))
                ask(loop, client.address, "GET", "/metrics") { _, body, _ in
                    #expect(body.contains("sonde_netpol_uncertainty_seconds_count 1\n"))
                    client.drain(grace: .seconds(1), completion: then)
                }
            }
        }
    }

    @Test("what a client without a run does not know has no sample")
    func unknown() throws {
        try withLoop { loop in
            let client = try service(loop)
            ask(loop, client.address, "GET", "/metrics") { _, body, _ in
                #expect(body.contains("# TYPE sonde_netpol_effective_interval_seconds gauge\n"))
                #expect(!body.contains("\nsonde_netpol_effective_interval_seconds "))
                #expect(!body.contains("\nsonde_probe_rate "))
                client.drain(grace: .seconds(1)) {}
            }
        }
    }
}

extension ClientService {
    fileprivate func failures(_ reason: ProbeFailure) -> Int {
        runLedger?.failures[Int(reason.rawValue)] ?? 0
    }
}
