import HTTP
import Pacing
import Reactor
import Testing

@testable import NetworkPolicy

/// A proxy on a loop of its own, and an orchestrator that calls it and waits for the answers.
final class ProxyBench {
    let loop: EventLoop
    let log = LogCollector()
    private(set) var service: ProxyService
    private(set) var clients: [FakeClient] = []

    init(_ configure: (inout ProxyConfiguration) -> Void = { _ in }) throws {
        loop = try EventLoop()
        var configuration = ProxyConfiguration()
        configuration.listen = SocketAddress(.loopbackV4, port: 0)
        configuration.seed = 1
        configuration.backoff = Backoff(initial: .milliseconds(5), maximum: .milliseconds(20))
        configure(&configuration)
        service = ProxyService(loop: loop, configuration: configuration, logger: log.logger)
        try service.start()
    }

    func client(_ behaviour: FakeClient.Behaviour) throws -> FakeClient {
        let client = try FakeClient(loop: loop, number: clients.count, behaviour)
        clients.append(client)
        return client
    }

    /// Sends one request to the proxy and runs the loop until it is answered.
    ///
    /// - Parameter beforeReading: called when the request is sent and nothing of its answer read.
    @discardableResult
    func call(
        _ method: String, _ path: String, _ body: String = "",
        beforeReading: () -> Void = {}, _ location: SourceLocation = #_sourceLocation
    ) -> Answer {
        var received: [UInt8] = []
        var (isSent, hasEnded) = (false, false)
        let connection = TCPConnection(loop: loop)
        connection.onRead = { received += $1 }
        connection.onEnd = { connection, _ in
            hasEnded = true
            connection.close()
        }
        connection.connect(to: service.address ?? SocketAddress(.loopbackV4, port: 1)) {
            connection, _ in
            isSent = true
            connection.write(
                Array(
                    """
                    \(method) \(path) HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n\
                    Content-Length: \(body.utf8.count)\r\n\r\n\(body)
                    """.utf8))
        }
        run(location) { isSent }
        beforeReading()
        connection.resumeReading()
        run(location) { hasEnded }
        return Answer(received)
    }

    func isTrue(_ path: String) -> Bool { call("GET", path).body == "{\"result\":true}\n" }

    /// Posts the lists, as many as there are clients, and waits until all are settled.
    func initiate(
        _ lists: [String], _ location: SourceLocation = #_sourceLocation
    ) {
        let members = zip(clients, lists).map { "\"\($0.address)\":\($1)" }
        let answer = call("POST", "/initiate", "{\(members.joined(separator: ","))}")
        #expect(answer.status == 200, sourceLocation: location)
        #expect(
            answer.body == "Initiate Request received, processing...\n", sourceLocation: location)
    }

    func collect(_ location: SourceLocation = #_sourceLocation) {
        let answer = call("POST", "/stop")
        #expect(answer.status == 200, sourceLocation: location)
        #expect(answer.body == "Stop Request received, processing...\n", sourceLocation: location)
        run(location) { isTrue("/checkStopStatus") }
    }

    /// Runs the loop until `isDone`; a watchdog ends what would never end.
    func run(_ location: SourceLocation = #_sourceLocation, until isDone: () -> Bool) {
        var hung = false
        let watchdog = Timer(loop: loop) { hung = true }
        watchdog.schedule(after: .seconds(20))
        while !isDone(), !hung { loop.runOnce() }
        watchdog.close()
        #expect(!hung, "never came about", sourceLocation: location)
    }

    /// Ends everything and proves that no handle was left.
    func end(_ location: SourceLocation = #_sourceLocation) {
        var isDrained = false
        service.drain(grace: .seconds(5)) { isDrained = true }
        for client in clients { client.close() }
        run(location) { isDrained }
        loop.run()
        #expect(throws: Never.self, "a handle was left open", sourceLocation: location) {
            try loop.close()
        }
    }
}
