import HTTP
import Instrument
import JSONCodec
import Logging
import Pacing
import Reactor
import Telemetry

/// The client pod: takes a connection list, probes its targets, and hands out the results.
public final class ClientService: Service {
    private let loop: EventLoop
    private let configuration: ClientConfiguration
    private let logger: Logger
    private let control: ControlPoint
    private var run: ClientRun?
    private var runs = 0
    private var isDraining = false
    /// Of the runs that were replaced.
    private var earlier = ClientFigures()
    /// Of all runs.
    private var skipped = SkippedEntries()

    /// - Parameters:
    ///   - loop: the service lives on it until ``drain(grace:completion:)`` has completed.
    ///   - security: TLS on the API; nil for none.
    public init(
        loop: EventLoop, configuration: ClientConfiguration, logger: Logger,
        security: ServerSecurity? = nil
    ) {
        self.loop = loop
        self.configuration = configuration
        self.logger = logger
        control = ControlPoint(
            loop: loop, logger: logger, allowFrom: configuration.allowFrom,
            maxBodyBytes: configuration.maxBodyBytes, maxBodyMemory: configuration.maxBodyMemory,
            security: security)
        control.post("/check") { [unowned self] in check($0, $1) }
        control.get("/results") { [unowned self] _, responder in
            responder.respond(
                status: 200, contentType: "application/json",
                next: run?.results() ?? ConnectionResult.document([]))
        }
        control.common(
            role: "client", status: { [unowned self] in writeStatus(to: &$0) },
            metrics: { [unowned self] in writeMetrics(to: &$0) })
    }

    /// Begins to listen.
    /// - Throws: ``UVError`` with the address that cannot be had.
    public func start() throws(UVError) {
        try control.listen(on: configuration.listen)
        logger.info("Wait for Connections from kube-burner..")
    }

    /// Takes nothing new, ends what is under way and closes everything; `completion` comes last.
    public func drain(grace: Duration, completion: @escaping () -> Void) {
        isDraining = true
        run?.stop()
        // The service lives until its last connection is gone.
        control.drain(grace: grace) { [self] in
            _ = self
            completion()
        }
    }

    /// Where the API listens.
    public var address: SocketAddress? { control.address }

    /// Targets of this run that have a result.
    public var detected: Int { run?.ledger.map { $0.count - $0.pending } ?? 0 }
    /// Whether every target of the run has its result, and its final bounds.
    public var isDone: Bool { run?.isFinished ?? false }

    var runLedger: ProbeLedger? { run?.ledger }
    var inFlight: Int { run?.inFlight ?? 0 }

    /// A new list replaces the run under way: its probes are broken off, its results forgotten.
    private func check(_ request: HTTPServerRequest, _ responder: HTTPResponder) {
        // A list that was still on its way must not begin a run that nobody would end.
        guard !isDraining else {
            return _ = responder.respond(status: 503, literal: "shutting down\n")
        }
        let list: ConnectionList
        var limits = DocumentLimits()
        limits.targets = configuration.maxTargets
        do {
            list = try ConnectionList(reading: request.body, limits: limits)
        } catch {
            logger.refuse("connection list", request, because: error, responder)
            return
        }
        responder.respond(status: 200, literal: "Check Request received, processing...\n")
        if let run {
            run.stop()
            earlier.add(run.figures)
        }
        runs += 1
        skipped.count(list.skipped)
        let new = ClientRun(
            loop: loop, list: list, configuration: configuration,
            load: run?.ledger?.load ?? ProbeLoad(), logger: logger)
        run = new
        new.start()
    }

    private func writeStatus(to writer: inout JSONWriter) {
        writer.member("phase", string: run?.phase ?? "idle")
        writer.member("runs", integer: runs)
        run?.writeStatus(to: &writer)
    }

    private func writeMetrics(to text: inout PrometheusText) {
        let ledger = run?.ledger
        text.family("sonde_netpol_runs_total", .counter, help: "Connection lists received.")
        text.sample(runs)
        let pending = ledger?.pending ?? 0
        text.family("sonde_netpol_targets", .gauge, help: "Targets of this run by state.")
        text.sample(pending, [("state", "pending")])
        text.sample((ledger?.count ?? 0) - pending, [("state", "detected")])
        text.family(
            "sonde_netpol_failing_targets", .gauge,
            help: "Targets of this run that once failed --attempts times in a row.")
        text.sample(ledger?.failedTargets ?? 0)
        text.family("sonde_netpol_probes_in_flight", .gauge, help: "Probes under way.")
        text.sample(run?.inFlight ?? 0)
        text.family(
            "sonde_netpol_effective_interval_seconds", .gauge,
            help: "Time between two probes of a target, stretched by the limits.")
        if let interval = run?.effectiveInterval { text.sample(interval.inSeconds) }
        text.family("sonde_netpol_gate_open", .gauge, help: "Whether full pace has begun.")
        text.sample(run?.isGateOpen == true ? 1 : 0)
        var figures = earlier
        if let run { figures.add(run.figures) }
        figures.write(to: &text)
        skipped.writeMetrics(to: &text)
        (ledger?.load ?? ProbeLoad()).write(to: &text, now: loop.now)
    }
}

@available(*, unavailable)
extension ClientService: Sendable {}
