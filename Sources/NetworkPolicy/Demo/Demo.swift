import HTTP
import HTTPTypes
import Instrument
import JSONCodec
import Logging
import Pacing
import Reactor
import Telemetry

/// A whole measurement on one machine, without a cluster: real proxy, clients and targets over real
/// sockets on loopback addresses, and an orchestrator that opens the targets at known moments.
///
///     step        what happens                                        until
///     deliver     POST /initiate to the proxy                         its status is true
///     policies    each is created on schedule; its target opens       the last target is open
///                 (its listener is made) a little later
///     settle      clients find the last targets                       all are done, or 5 s
///     collect     POST /stop to the proxy                             its status is true
///     compare     GET /results against the true openings              –
///
/// A closed port answers "connection refused", as a policy does that rejects.
public final class Demo {
    private static let poll = Duration.milliseconds(20)
    private static let patience = Duration.seconds(5)
    private static let leadIn = Duration.milliseconds(200)

    private struct Policy {
        var client: Int
        var address: SocketAddress
        var created: WallClock?
        var opening: ClosedRange<WallClock>?
    }

    private let loop: EventLoop
    private let configuration: DemoConfiguration
    private let onProgress: (DemoProgress) -> Void
    private var onEnd: ((Result<DemoReport, DemoFailure>) -> Void)?

    private let orchestrator: HTTPClient
    private let proxy: ProxyService
    private let clients: [ClientService]
    private let targets: HTTPServer
    private var policies: [Policy] = []
    private var events: [(at: Duration, policy: Int, opens: Bool)] = []
    private var nextEvent = 0
    private var began: Instant
    private var scheduleBegan: Instant?
    private var lastOpening: Instant?
    private var isInterrupted = false
    private var phase = "delivering"
    private var timer: Timer?
    private var pollTimer: Timer?

    /// - Parameters:
    ///   - onProgress: called a few times a second.
    ///   - onEnd: called once; everything that the demo opened is closed by then.
    public init(
        loop: EventLoop, configuration: DemoConfiguration,
        onProgress: @escaping (DemoProgress) -> Void,
        onEnd: @escaping (Result<DemoReport, DemoFailure>) -> Void
    ) {
        self.loop = loop
        self.configuration = configuration
        self.onProgress = onProgress
        self.onEnd = onEnd
        began = loop.now
        let silent = Logger(label: "demo") { _ in SwiftLogNoOpLogHandler() }
        orchestrator = HTTPClient(loop: loop)
        var proxyConfiguration = ProxyConfiguration()
        proxyConfiguration.listen = SocketAddress(.loopbackV4, port: 0)
        proxy = ProxyService(loop: loop, configuration: proxyConfiguration, logger: silent)
        clients = (0..<configuration.clients).map { index in
            var client = configuration.probing
            client.listen = configuration.clientAddress(index)
            // They share this process's descriptors.
            client.maxInFlight = min(
                client.maxInFlight ?? .max,
                (EventLoop.descriptorLimit - configuration.policies - 512) / configuration.clients)
            client.seed = configuration.seed &+ UInt64(index)
            return ClientService(loop: loop, configuration: client, logger: silent)
        }
        targets = HTTPServer(loop: loop) { _, responder in responder.respond(status: 200) }
    }

    /// Starts every role and hands out the connection lists.
    /// - Throws: ``UVError`` when an address cannot be had; nothing is left open then.
    public func start() throws(UVError) {
        do throws(UVError) {
            try proxy.start()
            for client in clients { try client.start() }
            let port = try freePort()
            policies = (0..<configuration.policies).map {
                Policy(
                    client: $0 % configuration.clients,
                    address: configuration.targetAddress($0, port: port))
            }
        } catch {
            closeAll {}
            throw error
        }
        for entry in configuration.schedule() {
            events.append((entry.created, entry.policy, false))
            events.append((entry.opens, entry.policy, true))
        }
        events.sort { $0.at < $1.at }
        timer = Timer(loop: loop) { [unowned self] in tick() }
        ask(.post, "/initiate", body: initiateDocument()) { [unowned self] _ in
            awaitTrue("/checkConnectionsStatus") { [unowned self] in
                phase = "probing"
                // The job begins a little after the lists are out, as in a cluster: by then every
                // target was found closed once, so that every result has a lower bound.
                scheduleBegan = loop.now + firstRound + Demo.leadIn
                tick()
            }
        }
    }

    /// Creates no more policies and ends with the results that there are; the second time at once
    /// and without them.
    public func cancel() {
        guard !isInterrupted else {
            return end(.failure(DemoFailure(message: "interrupted")))
        }
        isInterrupted = true
        // Before the first policy there is nothing to collect, and later it is under way already.
        if scheduleBegan == nil { return report([:]) }
        if phase != "collecting" { collect() }
    }

    // MARK: - Steps

    private func tick() {
        guard onEnd != nil, !isInterrupted, let start = scheduleBegan else { return }
        var now = loop.now
        while nextEvent < events.count, start + events[nextEvent].at <= now {
            let event = events[nextEvent]
            nextEvent += 1
            if event.opens {
                open(event.policy)
            } else {
                policies[event.policy].created = wallClock
            }
            guard onEnd != nil else { return }
            now = loop.now
        }
        reportProgress()
        if nextEvent < events.count {
            timer?.schedule(at: min(start + events[nextEvent].at, now + Demo.poll))
            return
        }
        let opened = lastOpening ?? now
        lastOpening = opened
        if clients.allSatisfy(\.isDone) || now - opened > Demo.patience {
            collect()
        } else {
            phase = "settling"
            timer?.schedule(after: Demo.poll)
        }
    }

    private func open(_ policy: Int) {
        let before = wallClock
        do {
            try targets.listen(on: policies[policy].address)
            policies[policy].opening = before...max(before, wallClock)
        } catch {
            end(.failure(DemoFailure(message: "\(error)")))
        }
    }

    private func collect() {
        phase = "collecting"
        reportProgress()
        ask(.post, "/stop") { [unowned self] _ in
            awaitTrue("/checkStopStatus") { [unowned self] in
                ask(.get, "/results") { [unowned self] body in compare(body) }
            }
        }
    }

    private func compare(_ document: [UInt8]) {
        let lists: [(client: String, results: [ConnectionResult])]
        do {
            lists = try document.withUnsafeBytes { try ConnectionResult.readByClient($0) }
        } catch {
            end(.failure(DemoFailure(message: "results of the proxy: \(error)")))
            return
        }
        var found: [String: ConnectionResult] = [:]
        for list in lists {
            for result in list.results { found[result.policy] = result }
        }
        report(found)
    }

    private func report(_ found: [String: ConnectionResult]) {
        let outcomes = policies.indices.compactMap { index -> DemoOutcome? in
            let policy = policies[index]
            guard let created = policy.created, let opening = policy.opening else { return nil }
            let result = found[name(of: index)]
            return DemoOutcome(
                policy: name(of: index), client: clients[policy.client].address?.description ?? "",
                address: policy.address.description, created: created, opening: opening,
                timestamp: result?.timestamp, notBefore: result?.notBefore,
                attempts: result?.attempts ?? 0)
        }
        end(
            .success(
                DemoReport(
                    clients: clients.count, outcomes: outcomes, elapsed: loop.now - began,
                    idleInterval: firstRound > configuration.probing.interval ? firstRound : nil,
                    isInterrupted: isInterrupted)))
    }

    /// The time in which a client probes each of its targets once, at the pace it begins with.
    private var firstRound: Duration {
        let probing = configuration.probing
        guard probing.usesGate else { return probing.interval }
        let targets = (configuration.policies + clients.count - 1) / max(clients.count, 1)
        return probing.idlePace(targets: targets)
    }

    private func end(_ result: Result<DemoReport, DemoFailure>) {
        guard let onEnd else { return }
        self.onEnd = nil
        closeAll { onEnd(result) }
    }

    private func closeAll(_ completion: @escaping () -> Void) {
        timer?.close()
        timer = nil
        pollTimer?.close()
        pollTimer = nil
        targets.close()
        orchestrator.close()
        var open = 1 + clients.count
        let closed = {
            open -= 1
            if open == 0 { completion() }
        }
        proxy.drain(grace: .zero, completion: closed)
        for client in clients { client.drain(grace: .zero, completion: closed) }
    }

    // MARK: - Talking to the proxy

    private func ask(
        _ method: HTTPRequest.Method, _ path: String, body: [UInt8] = [],
        then next: @escaping ([UInt8]) -> Void
    ) {
        let request = HTTPRequest(
            method: method, scheme: "http", authority: proxy.address?.description, path: path)
        orchestrator.send(request, body: body) { [unowned self] result in
            switch result {
            case .success(let response) where response.status == 200:
                next(response.body)
            case .success(let response):
                let said = String(decoding: response.body.prefix(200), as: UTF8.self)
                end(.failure(DemoFailure(message: "proxy \(path): \(response.status) \(said)")))
            case .failure(let error):
                end(.failure(DemoFailure(message: "proxy \(path): \(error)")))
            }
        }
    }

    private func awaitTrue(_ path: String, then next: @escaping () -> Void) {
        ask(.get, path) { [unowned self] body in
            if body.starts(with: Array(#"{"result":true}"#.utf8)) { return next() }
            pollTimer?.close()
            pollTimer = Timer(loop: loop) { [unowned self] in awaitTrue(path, then: next) }
            pollTimer?.schedule(after: Demo.poll)
        }
    }

    private func initiateDocument() -> [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        for (index, client) in clients.enumerated() {
            guard let address = client.address else { continue }
            json.key(address.description)
            json.beginArray()
            for (number, policy) in policies.enumerated() where policy.client == index {
                json.beginObject()
                json.key("addresses")
                json.beginArray()
                json.string(policy.address.ipAddress.description)
                json.endArray()
                json.key("ports")
                json.beginArray()
                json.integer(policy.address.port)
                json.endArray()
                json.member("netpol", string: name(of: number))
                json.endObject()
            }
            json.endArray()
        }
        json.endObject()
        return json.bytes
    }

    // MARK: - Small things

    private func name(of policy: Int) -> String { "demo-\(policy)" }

    private var wallClock: WallClock {
        WallClock(nanosecondsSinceEpoch: EventLoop.wallClockNanoseconds)
    }

    /// A port on which nobody listens on the first of the target addresses.
    private func freePort() throws(UVError) -> UInt16 {
        let listener = try TCPListener(
            loop: loop, address: configuration.targetAddress(0, port: 0)
        ) { _ in }
        defer { listener.close() }
        return listener.localAddress.port
    }

    private func reportProgress() {
        onProgress(
            DemoProgress(
                phase: phase, created: policies.count { $0.created != nil },
                opened: policies.count { $0.opening != nil },
                detected: clients.reduce(0) { $0 + $1.detected },
                policies: policies.count))
    }
}

/// Why a demo did not come to its end.
public struct DemoFailure: Error, Equatable, Sendable, CustomStringConvertible {
    let message: String
    public var description: String { message }
}

@available(*, unavailable)
extension Demo: Sendable {}
