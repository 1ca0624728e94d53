import JSONCodec
import Logging
import Pacing
import Reactor
import Telemetry

/// One run of the proxy: each client's list delivered, then each client's results collected.
///
///     phase        event                   next phase
///     delivering   all settled             delivered
///     delivering   stop                    collecting (what is not delivered is given up)
///     delivered    stop                    collecting
///     collecting   all settled             done
///     collecting   stop                    collecting (the same collection goes on)
///     done         stop                    collecting (what is found replaces what was)
final class ProxyRun {
    enum Phase: String { case delivering, delivered, collecting, done }

    enum Step: String, CaseIterable { case deliver, collect }

    /// Why a client is not served yet, or never will be.
    struct Failure {
        var step: Step
        var attempt: Int
        var reason: String
        var isGivenUp = false
    }

    private let loop: EventLoop
    private let configuration: ProxyConfiguration
    private let logger: Logger
    private let exchange: ProxyExchange
    private let seed: UInt64

    private(set) var phase = Phase.delivering
    private let clients: [InitiateDocument.Part]
    private let skipped: SkippedEntries
    /// The body of `/initiate`, of which each client gets its slice; let go once all have theirs.
    private var document: [UInt8]
    private var delivery: FanOutRunner?
    private var collection: FanOutRunner?
    /// The latest failure of each client that has one and was not served since.
    private(set) var failures: [Int: Failure] = [:]
    /// Clients whose list could not be delivered.
    private var undelivered: Set<Int> = []
    /// What each client found, as it was sent, checked.
    private var results: [[UInt8]?]
    private(set) var resultBytes = 0

    private(set) var figures = ProxyFigures()
    private var limiter = LogLineLimiter<Int>()

    init(
        loop: EventLoop, document: [UInt8], initiate: InitiateDocument,
        configuration: ProxyConfiguration, exchange: ProxyExchange, logger: Logger
    ) {
        self.loop = loop
        self.document = document
        clients = initiate.parts
        skipped = initiate.skipped
        self.configuration = configuration
        self.exchange = exchange
        self.logger = logger
        seed = configuration.seed ?? UInt64(bitPattern: EventLoop.wallClockNanoseconds)
        results = Array(repeating: nil, count: clients.count)
    }

    var clientCount: Int { clients.count }
    var isDelivered: Bool { phase != .delivering }
    var isCollected: Bool { phase == .done }
    var inFlight: Int { (delivery?.inFlight ?? 0) + (collection?.inFlight ?? 0) }
    var retryCount: Int { (delivery?.retryCount ?? 0) + (collection?.retryCount ?? 0) }

    /// How many clients a step has served and given up.
    func counts(_ step: Step) -> (done: Int, givenUp: Int) {
        switch step {
        case .deliver: (clients.count - undelivered.count - undecided, undelivered.count)
        case .collect: (collection?.succeededCount ?? 0, collection?.givenUpCount ?? 0)
        }
    }

    /// Clients whose delivery is still under way.
    private var undecided: Int {
        guard phase == .delivering, let delivery else { return 0 }
        return clients.count - delivery.succeededCount - delivery.givenUpCount
    }

    // MARK: - Delivering

    func start() {
        logger.info("Number of connections got from kube-burner \(clients.count)")
        skipped.log(to: logger)
        let parallel = configuration.parallelDeliveries(
            clients: clients.count, bytes: document.count)
        delivery = runner(.deliver, parallel: parallel, policy: { [patience] _ in patience }) {
            [unowned self] client, completion in
            document.withUnsafeBytes { document in
                exchange.deliver(
                    UnsafeRawBufferPointer(rebasing: document[clients[client].list]),
                    to: clients[client].address
                ) { [unowned self] failure in
                    if failure == nil { delivered(client) }
                    completion(failure)
                }
            }
        }
        delivery?.start()
    }

    private func delivered(_ client: Int) {
        failures[client] = nil
        figures[.deliver].succeeded += 1
        logger.info("Connections sent to \(url(client))/check successfully")
    }

    private func endDelivery() {
        document = []
        phase = .delivered
        logger.info(
            "Connections delivered to \(counts(.deliver).done) of \(clients.count) clients")
    }

    // MARK: - Collecting

    /// Begins to collect.
    func collect() {
        switch phase {
        case .collecting: return
        case .delivering: abandonDelivery()
        case .delivered, .done: break
        }
        phase = .collecting
        limiter.reset()
        var hasty = patience
        hasty.attempts = configuration.attemptsAfterGivenUp
        collection = runner(
            .collect, parallel: configuration.parallel,
            policy: { [patience, undelivered] in
                undelivered.contains($0) ? hasty : patience
            }
        ) { [unowned self] client, completion in
            exchange.collect(from: clients[client].address) { [unowned self] outcome in
                switch outcome {
                case .success(let body):
                    collected(client, body)
                    completion(nil)
                case .failure(let failure): completion(failure.reason)
                }
            }
        }
        collection?.start()
    }

    /// Who has no list by now gets none: a probe that begins after the end measures nothing.
    private func abandonDelivery() {
        guard let delivery else { return }
        for client in delivery.unsettled {
            undelivered.insert(client)
            figures[.deliver].givenUp += 1
            let reason = failures[client].map { $0.reason + "; " } ?? ""
            failures[client] = Failure(
                step: .deliver, attempt: failures[client]?.attempt ?? 0,
                reason: reason + "stopped before its list was delivered", isGivenUp: true)
        }
        delivery.stop()
        endDelivery()
    }

    private func collected(_ client: Int, _ body: [UInt8]) {
        failures[client] = nil
        figures[.collect].succeeded += 1
        resultBytes += body.count - (results[client]?.count ?? 0)
        results[client] = body
        if configuration.logsResults { logResults(body) }
    }

    private func logResults(_ body: [UInt8]) {
        do {
            for result in try body.withUnsafeBytes({ try ConnectionResult.read($0) }) {
                logger.info(
                    """
                    Address: \(result.address), Port: \(result.port), IngressIdx: \
                    \(result.connectionIndex), NpName: \(result.policy) \
                    Timestamp: \(result.timestamp)
                    """)
            }
        } catch {
            logger.warning("Results that cannot be logged: \(error)")
        }
    }

    private func endCollection() {
        phase = .done
        let counts = counts(.collect)
        logger.info("Results collected from \(counts.done) of \(clients.count) clients")
    }

    // MARK: - Both

    /// Breaks off everything that is under way; what was collected stays.
    func stop() {
        delivery?.stop()
        collection?.stop()
    }

    private var patience: RetryMachine.Policy {
        RetryMachine.Policy(
            timeout: configuration.requestTimeout, giveUpAfter: configuration.giveUp,
            backoff: configuration.backoff)
    }

    private func runner(
        _ step: Step, parallel: Int, policy: (Int) -> RetryMachine.Policy,
        exchange: @escaping FanOutRunner.Exchange
    ) -> FanOutRunner {
        let machine = FanOutMachine(
            clients: clients.count, parallel: parallel, seed: seed, retry: policy)
        let observer = FanOutRunner.Observer(
            failed: { [unowned self] in failed(step, $0, attempt: $1, $2) },
            gaveUp: { [unowned self] in gaveUp(step, $0) },
            finished: { [unowned self] in
                switch step {
                case .deliver: endDelivery()
                case .collect: endCollection()
                }
            })
        let seconds = GoDuration(configuration.requestTimeout)
        return FanOutRunner(
            loop: loop, machine: machine, timeoutWords: "no answer within \(seconds)",
            observer: observer, exchange: exchange)
    }

    private func failed(_ step: Step, _ client: Int, attempt: Int, _ reason: String) {
        figures[step].failed += 1
        failures[client] = Failure(step: step, attempt: attempt, reason: reason)
        guard limiter.occur(client) != nil || logger.logLevel <= .debug else { return }
        let path = step == .deliver ? "/check" : "/results"
        logger.warning("Request to \(url(client))\(path) failed: \(reason) (attempt \(attempt))")
    }

    private func gaveUp(_ step: Step, _ client: Int) {
        if step == .deliver { undelivered.insert(client) }
        figures[step].givenUp += 1
        failures[client]?.isGivenUp = true
        let reason = failures[client]?.reason ?? ""
        logger.error("Client \(clients[client].client) given up: \(reason)")
    }

    private func url(_ client: Int) -> String { "http://\(clients[client].address)" }

    // MARK: - Results and status

    /// The result document in pieces, to be sent one after the other: what each client found, as it
    /// was written, under the name that `/initiate` gave the client.
    func resultPieces() -> [[UInt8]] {
        var pieces: [[UInt8]] = []
        for (client, found) in zip(clients, results) {
            guard let found else { continue }
            var json = JSONWriter()
            json.string(client.client)
            pieces.append(Array((pieces.isEmpty ? "{" : ",").utf8) + json.bytes + Array(":".utf8))
            pieces.append(found)
        }
        pieces.append(Array((pieces.isEmpty ? "{}\n" : "}\n").utf8))
        return pieces
    }

    /// How many failures the status lists: enough to see what is wrong, however many there are.
    private static let listedFailures = 100

    func writeStatus(to json: inout JSONWriter) {
        json.member("clients", integer: clients.count)
        skipped.writeStatus(to: &json)
        for step in Step.allCases {
            let counts = counts(step)
            json.key(step.rawValue)
            json.beginObject()
            json.member("done", integer: counts.done)
            json.member("givenUp", integer: counts.givenUp)
            json.member("failedRequests", integer: figures[step].failed)
            json.endObject()
        }
        json.member("inFlight", integer: inFlight)
        json.member("retries", integer: retryCount)
        json.member("resultBytes", integer: resultBytes)
        json.member("failing", integer: failures.count)
        json.key("failures")
        json.beginArray()
        for (client, failure) in failures.sorted(by: { $0.key < $1.key })
            .prefix(ProxyRun.listedFailures)
        {
            json.beginObject()
            json.member("client", string: clients[client].client)
            json.member("step", string: failure.step.rawValue)
            json.member("attempt", integer: failure.attempt)
            json.member("reason", string: failure.reason)
            json.member("givenUp", bool: failure.isGivenUp)
            json.endObject()
        }
        json.endArray()
    }
}
