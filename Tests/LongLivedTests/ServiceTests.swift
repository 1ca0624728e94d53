import JSONCodec
import Pacing
import Reactor
import Testing

@testable import LongLived

/// Both roles against each other, and against peers that behave otherwise, on loopback.
@Suite(.serialized) struct ServiceTests {
    private func run(
        _ server: DelayingServer, _ loop: EventLoop, lines: ((String) -> Void)? = nil,
        _ change: (inout HoldClientConfiguration) -> Void
    ) throws -> HoldClient {
        let client = try client(loop, server.address, lines: lines, change) {
            server.drain(grace: .seconds(1)) {}
        }
        client.start { result in
            #expect(throws: Never.self) { try result.get() }
        }
        loop.run()
        return client
    }

    @Test("every request is answered once, in a line of its own, and counted on both sides")
    func lines() throws {
        try withLoop { loop in
            let server = try server(loop, "pod-a")
            var text = ""
            let client = try run(server, loop, lines: { text += $0 }) {
                $0.connections = 50
                $0.requests = 500
            }
            let machine = client.hold
            #expect(machine.answered == 500 && machine.sent == 500 && client.failureCount == 0)
            #expect(machine.opened == 50 && machine.reconnects == 0 && machine.allOpenAt != nil)
            #expect(server.answered == 500 && server.requests == 500 && server.abandoned == 0)
            let lines = text.split(separator: "\n")
            #expect(lines.count == 500 && client.latencies.count == 500)
            let form = /Response from Pod pod-a latency=\d+\.\d{3}s at=\d+\.\d{3}s connection=\d+/
            #expect(lines.allSatisfy { $0.wholeMatch(of: form) != nil }, "\(lines.first ?? "")")
        }
    }

    @Test("closed connections: each request on a connection of its own")
    func close() throws {
        try withLoop { loop in
            let server = try server(loop, "pod-a") { $0.connectionUse = .close }
            let client = try run(server, loop) {
                $0.connections = 10
                $0.requests = 100
            }
            #expect(client.hold.answered == 100 && client.hold.opened == 100)
            #expect(client.hold.reconnects == 90 && client.failureCount == 0)
        }
    }

    @Test("a limited number of requests, or a limited age, closes politely: nothing is lost")
    func limits() throws {
        try withLoop { loop in
            let server = try server(loop, "pod-a") { $0.maximumRequests = 5 }
            let client = try run(server, loop) {
                $0.connections = 10
                $0.requests = 100
            }
            #expect(client.hold.answered == 100 && client.failureCount == 0)
            #expect(client.hold.opened >= 20 && client.hold.opened < 40)
        }
        try withLoop { loop in
            let server = try server(loop, "pod-a") { $0.maximumAge = .milliseconds(10) }
            let client = try run(server, loop) {
                $0.connections = 10
                $0.requests = 300
            }
            #expect(client.hold.answered == 300 && client.failureCount == 0)
            #expect(client.hold.reconnects > 0)
            // An old connection serves the request that it has, so at least one each.
            #expect(client.hold.opened <= 300)
        }
    }

    @Test("ending: what waits is answered, with Connection: close; nobody new gets in")
    func drain() throws {
        try withLoop { loop in
            let server = try server(loop, "pod-a") {
                $0.delay = .milliseconds(60) ... .milliseconds(90)
            }
            var isDrained = false
            let client = try client(loop, server.address) {
                $0.connections = 20
                $0.requests = 20
            } onEnd: {
            }
            client.start { _ in }
            // However slow this machine is: some of them may be answered by then.
            when(loop, { server.requests == 20 }) {
                server.drain(grace: .seconds(10)) { isDrained = true }
            }
            loop.run()
            #expect(client.hold.answered == 20 && client.failureCount == 0 && isDrained)
            #expect(server.answered == 20 && server.abandoned == 0)
        }
    }

    @Test("after the grace, what waits is reset: lost requests, counted as such on both sides")
    func grace() throws {
        try withLoop { loop in
            let server = try server(loop, "pod-a") { $0.delay = .seconds(600) ... .seconds(600) }
            let client = try client(loop, server.address) {
                $0.connections = 5
                $0.requests = 5
            } onEnd: {
            }
            client.start { _ in }
            when(loop, { server.waiting == 5 }) { server.drain(grace: .milliseconds(5)) {} }
            loop.run()
            #expect(client.failures[FailureKind.reset.index] == 5 && client.hold.lost == 5)
            #expect(server.abandoned == 5 && server.answered == 0 && server.waiting == 0)
        }
    }

    @Test("a client that ends with requests in flight: unanswered here, abandoned there")
    func stop() throws {
        try withLoop { loop in
            let server = try server(loop, "pod-a") { $0.delay = .seconds(600) ... .seconds(600) }
            let client = try client(loop, server.address) {
                $0.connections = 7
            } onEnd: {
                when(loop, { server.abandoned == 7 }) { server.drain(grace: .seconds(1)) {} }
            }
            client.start { _ in }
            when(loop, { server.waiting == 7 }) { client.stop() }
            loop.run()
            #expect(client.hold.inFlight == 7 && client.failureCount == 0)
            #expect(server.waiting == 0 && server.connections == 0)
        }
    }

    @Test("two pods are told apart, by name and by connection")
    func twoPods() throws {
        try withLoop { loop in
            let first = try server(loop, "pod-a") { $0.reusesPort = true }
            let second = try server(loop, "pod-b") {
                $0.reusesPort = true
                $0.listen = first.address ?? anyPort
            }
            let client = try client(loop, first.address) {
                $0.connections = 100
            } onEnd: {
                first.drain(grace: .seconds(1)) {}
                second.drain(grace: .seconds(1)) {}
            }
            client.start { _ in }
            when(loop, { client.held.reduce(0, +) == 100 }) { client.stop() }
            loop.run()
            let report = client.report
            #expect(Set(report.pods.map(\.name)) == ["pod-a", "pod-b"])
            #expect(report.pods.reduce(0) { $0 + $1.connections } == 100)
            #expect(report.pods.reduce(0) { $0 + $1.count } == client.answeredCount)
            let served = first.answered + second.answered
            #expect(served >= client.answeredCount && client.failureCount == 0)
        }
    }

    @Test("a port without a server refuses; the client goes on and finds the one that comes")
    func refused() throws {
        try withLoop { loop in
            let reserved = try TCPListener(loop: loop, address: anyPort) { _ in }
            let address = reserved.localAddress
            reserved.close()
            var late: DelayingServer?
            let client = try client(loop, address) {
                $0.connections = 3
                $0.requests = 30
            } onEnd: {
                late?.drain(grace: .seconds(1)) {}
            }
            client.start { _ in }
            when(loop, { client.failureCount >= 3 }) {
                late = try? server(loop, "late") { $0.listen = address }
            }
            loop.run()
            // The total comes to its end whether somebody listens or not.
            #expect(client.hold.answered + client.hold.unsent == 30 && client.hold.lost == 0)
            #expect(client.hold.answered > 0 && client.hold.unsent == client.failureCount)
            #expect(client.failures[FailureKind.refused.index] == client.failureCount)
            #expect(client.report.text().contains("failed refused "))
        }
    }

    @Test("what peers do wrong is told apart by its kind")
    func kinds() throws {
        for (reply, kind) in [
            ("", FailureKind.closed), ("HTTP/1.1 200 OK\r\nContent-Le", .closed),
            ("hello\r\n\r\n", .malformed), ("HTTP/1.1 200 OK\r\n bad\r\n\r\n", .malformed),
            ("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", .status),
        ] {
            try withLoop { loop in
                var listener: TCPListener?
                listener = try TCPListener(loop: loop, address: anyPort) { connection in
                    connection.onRead = { connection, _ in
                        connection.write(Array(reply.utf8))
                        if kind == .closed { connection.closeAfterWriting() }
                    }
                    connection.resumeReading()
                }
                let client = try client(loop, listener?.localAddress) {
                    $0.requests = 2
                } onEnd: {
                    listener?.close()
                }
                client.start { _ in }
                loop.run()
                #expect(client.failures[kind.index] == 2 && client.failureCount == 2, "\(reply)")
                #expect(client.answeredCount == 0 && client.hold.sent == 2)
            }
        }
    }

    @Test("no answer in time is a timeout, and its connection is broken off")
    func timeout() throws {
        try withLoop { loop in
            let server = try server(loop, "slow") { $0.delay = .seconds(600) ... .seconds(600) }
            let client = try run(server, loop) {
                $0.connections = 3
                $0.requests = 3
                $0.timeout = .milliseconds(20)
            }
            #expect(client.failures[FailureKind.timeout.index] == 3 && client.hold.lost == 3)
            #expect(server.abandoned == 3 && server.answered == 0)
        }
    }

    @Test("an unknown name is an error before anything begins")
    func unknownName() throws {
        try withLoop { loop in
            let target = try #require(HoldTarget("http://nobody.invalid/"))
            var (hasEnded, error): (Bool, UVError?) = (false, nil)
            let client = HoldClient(
                loop: loop, configuration: HoldClientConfiguration(target: target), onLine: nil,
                onTick: {}, onEnd: { hasEnded = true })
            client.start { result in
                if case .failure(let found) = result { error = found }
                client.stop()
            }
            loop.run()
            #expect(error?.kind == .unknownName)
            #expect(hasEnded && client.hold.sent == 0)
        }
    }

    @Test(
        "an answer that waits in its socket is none that is late, however long this process slept")
    func slept() throws {
        try withLoop { loop in
            let peers = try EventLoop()
            var peer: TCPConnection?
            var hasAnswered = false
            let listener = try TCPListener(loop: peers, address: anyPort) { connection in
                peer = connection
                connection.onRead = { connection, _ in
                    connection.write(Array("HTTP/1.1 204 No Content\r\n\r\n".utf8))
                    hasAnswered = true
                }
                connection.resumeReading()
            }
            let client = try client(loop, listener.localAddress) {
                $0.requests = 1
                $0.timeout = .milliseconds(20)
            } onEnd: {
            }
            client.start { _ in }
            while client.hold.inFlight == 0 { loop.runOnce() }
            let sent = loop.now
            while !hasAnswered { peers.runOnce() }
            // What SIGSTOP does to a process: time passes, and its loop does not turn.
            while loop.now - sent < .milliseconds(40) {}
            loop.run()
            #expect(client.answeredCount == 1 && client.failureCount == 0)
            peer?.close()
            listener.close()
            peers.run()
            try peers.close()
        }
    }

    @Test("a used connection that ends before the first byte of an answer is a kind of its own")
    func reused() throws {
        let answer = "HTTP/1.1 204 No Content\r\n\r\n"
        for (second, resets, kind) in [
            ("", true, FailureKind.reused), ("", false, .reused), ("HTTP/1.1", false, .closed),
        ] {
            try withLoop { loop in
                var requests = 0
                var listener: TCPListener?
                listener = try TCPListener(loop: loop, address: anyPort) { connection in
                    connection.onRead = { connection, _ in
                        requests += 1
                        if requests > 1, resets { return connection.abort() }
                        connection.write(Array((requests == 1 ? answer : second).utf8))
                        if requests > 1 { connection.closeAfterWriting() }
                    }
                    connection.resumeReading()
                }
                let client = try client(loop, listener?.localAddress) {
                    $0.requests = 2
                } onEnd: {
                    listener?.close()
                }
                client.start { _ in }
                loop.run()
                #expect(client.failures[kind.index] == 1 && client.failureCount == 1, "\(kind)")
                #expect(client.hold.lost == 1 && client.answeredCount == 1)
            }
        }
    }

    @Test("this machine's own trouble is counted by its kind, and not held against the target")
    func local() throws {
        try withLoop { loop in
            let server = try server(loop, "pod-a")
            var first = ""
            let target = try #require(server.address.flatMap { HoldTarget("http://\($0)/") })
            var configuration = HoldClientConfiguration(target: target)
            // Of the network for documentation (RFC 5737): nobody's address.
            configuration.sources = [IPAddress(v4: 0xC000_0201)]
            let client = HoldClient(
                loop: loop, configuration: configuration, onLine: nil,
                onFirstFailure: { first = $0 }, onTick: {},
                onEnd: { server.drain(grace: .seconds(1)) {} })
            client.start { _ in }
            when(loop, { client.failureCount > 0 }) { client.stop() }
            loop.run()
            #expect(client.failures[FailureKind.source.index] == client.failureCount)
            #expect(client.remoteFailureCount == 0 && client.hold.unsent == 0)
            #expect(first.hasPrefix("source: bind 192.0.2.1:0: "), "\(first)")
            let json = String(decoding: client.report.json, as: UTF8.self)
            #expect(json.contains("\"failures\":{},\"localfailures\":{\"source\":"))
            #expect(client.report.text().contains("failed here source "))
        }
    }

    @Test("the status and the metrics say what waits")
    func status() throws {
        try withLoop { loop in
            let server = try server(loop, "pod-a") {
                $0.delay = .seconds(600) ... .seconds(600)
                $0.metricsListen = anyPort
            }
            let client = try client(loop, server.address) {
                $0.connections = 4
            } onEnd: {
                server.drain(grace: .seconds(1)) {}
            }
            client.start { _ in }
            when(loop, { server.waiting == 4 }) {
                ask(loop, server.metricsAddress, "/metrics") { metrics in
                    #expect(metrics.contains("sonde_longlived_waiting_requests 4\n"))
                    #expect(metrics.contains("sonde_longlived_open_connections 4\n"))
                    ask(loop, server.metricsAddress, "/status") { status in
                        #expect(status.contains("\"podid\":\"pod-a\""))
                        #expect(status.contains("\"waiting\":4"))
                        client.stop()
                    }
                }
            }
        }
    }
}
