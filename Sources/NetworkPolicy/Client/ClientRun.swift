import JSONCodec
import Logging
import Pacing
import Reactor
import Telemetry

/// One run of a client: a connection list, its probes, and the results so far.
final class ClientRun {
    private let loop: EventLoop
    private let configuration: ClientConfiguration
    private let logger: Logger
    private let list: ConnectionList
    private var runner: (any ProbeRunning)?
    /// The wall-clock moment of each result, taken when it came: the clock may be set later.
    private var moments: [WallClock]
    /// Whether every probe is worth a line.
    private let logsAll: Bool
    private(set) var isFinished = false
    /// Finished, or broken off.
    private var hasEnded = false
    /// Without the probes, which the ledger counts.
    private var ownFigures = ClientFigures()
    /// Targets whose bounds are final.
    private var isBounded: [Bool]
    private var boundedCount = 0
    private let startedAt: Instant

    /// - Parameter load: what the runs before have asked of the network.
    init(
        loop: EventLoop, list: ConnectionList, configuration: ClientConfiguration,
        load: ProbeLoad, logger: Logger
    ) {
        self.loop = loop
        self.list = list
        self.configuration = configuration
        self.logger = logger
        moments = Array(repeating: WallClock(nanosecondsSinceEpoch: 0), count: list.targets.count)
        logsAll = logger.logLevel <= .debug
        isBounded = Array(repeating: false, count: list.targets.count)
        startedAt = loop.now
        runner = configuration.runner(loop: loop, list: list, load: load) {
            [unowned self] in observe($0)
        }
    }

    func start() {
        logger.info("Number of connections got from kube-burner \(list.entryCount)")
        list.skipped.log(to: logger)
        if configuration.usesGate, !list.targets.isEmpty {
            logger.info("Start waiting for Network policy object creation")
        }
        runner?.start()
    }

    /// Breaks all probes off; the results stay, with the bounds that they have.
    func stop() {
        runner?.stop()
        guard !hasEnded else { return }
        for target in list.targets.indices { bound(target) }
        summarize("Stopped")
    }

    /// A target as logs name it.
    private func name(_ target: Int) -> String {
        let entry = list.targets[target]
        let address = list.address(of: entry)
        return address.contains(":") ? "[\(address)]:\(entry.port)" : "\(address):\(entry.port)"
    }

    // MARK: - Log

    private func observe(_ action: ProbeAction) {
        switch action {
        case .launch(_, let target, let attempt):
            if logsAll {
                logger.debug("Sending request to address \(name(target))")
            } else if attempt == 1 {
                logger.info("Sending request to address \(name(target))")
            }
        case .answered(let target):
            record(target)
            logger.info("Got 200 response to address \(name(target))")
        case .denied(let target):
            record(target)
            logger.info("No response any more from address \(name(target))")
        case .failed(let target, let reason, let count):
            guard logsAll || LogLineLimit.isPrinted(occurrence: count) else { return }
            logger.info(
                "Error connecting to address \(name(target)) (\(reason.words), failure \(count))")
        case .bounded(let target):
            bound(target)
            if LogLineLimit.isPrinted(occurrence: boundedCount) { logUncertainty("So far") }
        case .movedToFailedQueue(let target):
            logger.info(
                "failed request to \(name(target)) after \(configuration.attempts) attempts")
        case .openedGate:
            logger.info("Finished waiting for Network policy object creation")
        case .loadIsHigh(let warning):
            logger.warning("\(warning)")
        case .finished:
            isFinished = true
            summarize("Finished")
        case .cancel:
            break
        }
    }

    private func record(_ target: Int) {
        guard let runner, let result = runner.ledger[target] else { return }
        ownFigures.detection.observe(result.moment - startedAt)
        let now = WallClock(nanosecondsSinceEpoch: EventLoop.wallClockNanoseconds)
        moments[target] = now + (result.moment - loop.now)
    }

    /// Counts the width of a result's bounds, once.
    private func bound(_ target: Int) {
        guard !isBounded[target], let result = runner?.ledger[target] else { return }
        isBounded[target] = true
        boundedCount += 1
        if let width = result.uncertainty {
            ownFigures.uncertainty.observe(width)
        } else {
            ownFigures.unbounded += 1
        }
    }

    /// The last word of a run: with every figure, how wrong it may be.
    private func summarize(_ ending: String) {
        hasEnded = true
        logUncertainty(ending)
        if let load = runner?.ledger.load { logger.info("\(load.summary)") }
    }

    private func logUncertainty(_ phase: String) {
        guard let ledger = runner?.ledger else { return }
        let (largest, unbounded) = ledger.uncertainty
        let detected = ledger.count - ledger.pending
        var line = "\(phase): \(detected) of \(ledger.count) targets detected, largest uncertainty "
        line += largest.map { "\(GoDuration($0))" } ?? "unknown"
        if unbounded > 0 { line += ", \(unbounded) results without a lower bound" }
        logger.info("\(line)")
    }

    // MARK: - Results and status

    /// The result document in pieces: an array of the targets that have a result when their turn
    /// comes.
    func results() -> () -> [UInt8]? {
        ConnectionResult.document(
            list.targets.indices.lazy.compactMap { [self] target in
                guard let result = runner?.ledger[target] else { return nil }
                let moment = moments[target]
                let entry = list.targets[target]
                return ConnectionResult(
                    address: list.address(of: entry), port: entry.port,
                    connectionIndex: Int(entry.entry), policy: list.policy(of: entry),
                    timestamp: moment,
                    connectedAt: result.connectedAt.map { moment + ($0 - result.moment) },
                    notBefore: result.notBefore.map { moment + ($0 - result.moment) },
                    attempts: result.attempts, connectTime: result.connect,
                    denied: result.reason?.denial)
            })
    }

    /// `waiting` for the first sign of a policy, `probing`, `settling` the last bounds, `done`.
    var phase: String {
        guard let runner else { return "done" }
        if isFinished { return "done" }
        if runner.ledger.pending == 0 { return "settling" }
        return runner.isGateOpen ? "probing" : "waiting"
    }

    func writeStatus(to writer: inout JSONWriter) {
        guard let runner else { return }
        writer.member("targets", integer: list.targets.count)
        list.skipped.writeStatus(to: &writer)
        writer.member("detected", integer: list.targets.count - runner.ledger.pending)
        writer.member("pending", integer: runner.ledger.pending)
        writer.member("failed", integer: runner.ledger.failedTargets)
        writer.member("inFlight", integer: runner.inFlight)
        writer.member("probes", integer: runner.ledger.probes)
        writer.member("effectiveIntervalMs", double: runner.effectiveInterval.inMilliseconds)
        let ledger = runner.ledger
        // What is not a number is null: not known yet.
        let (largest, unbounded) = ledger.uncertainty
        writer.member(
            "longestRoundTripMs", double: ledger.longestRoundTrip?.inMilliseconds ?? .nan)
        writer.member("largestUncertaintyMs", double: largest?.inMilliseconds ?? .nan)
        writer.member("withoutLowerBound", integer: unbounded)
        writer.member("probesPerSecond", double: ledger.load.rate(at: loop.now) ?? .nan)
        writer.member("trackingEntries", integer: ledger.load.entries(at: loop.now))
        writer.key("failures")
        writer.beginObject()
        for reason in ProbeFailure.allCases {
            writer.key(reason.words)
            writer.integer(ledger.failures[Int(reason.rawValue)])
        }
        writer.endObject()
    }

    /// What this run adds to the client's counters.
    var figures: ClientFigures {
        var figures = ownFigures
        if let runner { figures.count(runner.ledger, inFlight: runner.inFlight) }
        return figures
    }

    var ledger: ProbeLedger? { runner?.ledger }
    var inFlight: Int { runner?.inFlight ?? 0 }
    var effectiveInterval: Duration? { runner?.effectiveInterval }
    var isGateOpen: Bool { runner?.isGateOpen ?? false }
}

extension ProbeFailure {
    /// For logs, status and metric labels.
    var words: String {
        switch self {
        case .refused: "refused"
        case .reset: "reset"
        case .unreachable: "unreachable"
        case .timedOut: "timeout"
        case .unanswered: "unanswered"
        case .status: "status"
        case .malformed: "malformed"
        case .unresolved: "unresolved"
        case .local: "local"
        }
    }

    /// How a policy turned the first probe of a closed target away.
    var denial: DenialKind {
        switch self {
        case .refused, .reset: .reset
        case .unreachable: .unreachable
        default: .drop
        }
    }
}
