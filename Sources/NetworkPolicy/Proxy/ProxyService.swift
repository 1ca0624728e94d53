import HTTP
import Instrument
import JSONCodec
import Logging
import Pacing
import Reactor
import Telemetry

/// The fan-out proxy pod: hands each client its connection list, and later collects what each
/// found.
public final class ProxyService: Service {
    private let loop: EventLoop
    private let configuration: ProxyConfiguration
    private let logger: Logger
    private let control: ControlPoint
    private let exchange: ProxyExchange
    private var run: ProxyRun?
    private var runs = 0
    private var isDraining = false
    /// Of the runs that were replaced.
    private var earlier = ProxyFigures()
    /// Of all runs.
    private var skipped = SkippedEntries()

    /// - Parameters:
    ///   - loop: the service lives on it until ``drain(grace:completion:)`` has completed.
    ///   - security: TLS on the API; nil for none.
    public init(
        loop: EventLoop, configuration: ProxyConfiguration, logger: Logger,
        security: ServerSecurity? = nil
    ) {
        self.loop = loop
        self.configuration = configuration
        self.logger = logger
        exchange = ProxyExchange(loop: loop, configuration: configuration)
        control = ControlPoint(
            loop: loop, logger: logger, allowFrom: configuration.allowFrom,
            maxBodyBytes: configuration.maxBodyBytes, maxBodyMemory: configuration.maxBodyMemory,
            security: security)
        control.post("/initiate") { [unowned self] in initiate($0, $1) }
        control.get("/checkConnectionsStatus") { [unowned self] in
            respond(run?.isDelivered ?? false, $1)
        }
        control.get("/stop") { [unowned self] in stop($1) }
        control.post("/stop") { [unowned self] in stop($1) }
        control.get("/checkStopStatus") { [unowned self] in
            respond(run?.isCollected ?? false, $1)
        }
        control.get("/results") { [unowned self] in
            $1.respond(
                status: 200, contentType: "application/json",
                pieces: run?.resultPieces() ?? [Array("{}\n".utf8)])
        }
        control.common(
            role: "proxy", status: { [unowned self] in writeStatus(to: &$0) },
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
        exchange.close()
        // The service lives until its last connection is gone.
        control.drain(grace: grace) { [self] in
            _ = self
            completion()
        }
    }

    /// Where the API listens.
    public var address: SocketAddress? { control.address }

    /// A new document replaces the run under way: its requests are broken off, its results
    /// forgotten.
    private func initiate(_ request: HTTPServerRequest, _ responder: HTTPResponder) {
        if isDraining { return refuse(responder) }
        var limits = DocumentLimits()
        limits.targets = configuration.maxTargets
        let initiate: InitiateDocument
        do {
            initiate = try InitiateDocument(
                splitting: request.body, defaultPort: configuration.clientPort, limits: limits)
        } catch {
            logger.refuse("initiate document", request, because: error, responder)
            return
        }
        responder.respond(status: 200, literal: "Initiate Request received, processing...\n")
        if let run {
            run.stop()
            earlier.add(run.figures)
        }
        runs += 1
        skipped.count(initiate.skipped)
        let new = ProxyRun(
            loop: loop, document: request.takeBody(), initiate: initiate,
            configuration: configuration, exchange: exchange, logger: logger)
        run = new
        new.start()
    }

    private func stop(_ responder: HTTPResponder) {
        if isDraining { return refuse(responder) }
        guard let run else {
            responder.respond(status: 409, literal: "no run to stop: POST /initiate first\n")
            return
        }
        responder.respond(status: 200, literal: "Stop Request received, processing...\n")
        run.collect()
    }

    /// What was still on its way when the end began.
    private func refuse(_ responder: HTTPResponder) {
        logger.warning("Refused a request that came while shutting down")
        responder.respond(status: 503, literal: "shutting down\n")
    }

    private func respond(_ result: Bool, _ responder: HTTPResponder) {
        responder.respond(
            status: 200, contentType: "application/json",
            body: Array((result ? "{\"result\":true}\n" : "{\"result\":false}\n").utf8))
    }

    private func writeStatus(to json: inout JSONWriter) {
        json.member("phase", string: run?.phase.rawValue ?? "idle")
        json.member("runs", integer: runs)
        run?.writeStatus(to: &json)
    }

    private func writeMetrics(to text: inout PrometheusText) {
        text.family("sonde_netpol_runs_total", .counter, help: "Initiate documents received.")
        text.sample(runs)
        text.family("sonde_netpol_proxy_clients", .gauge, help: "Clients of this run by state.")
        for step in ProxyRun.Step.allCases {
            let (done, givenUp) = run?.counts(step) ?? (0, 0)
            let pending = (run?.clientCount ?? 0) - done - givenUp
            for (state, count) in [("done", done), ("given_up", givenUp), ("pending", pending)] {
                text.sample(count, [("step", step.rawValue), ("state", state)])
            }
        }
        var figures = earlier
        if let run { figures.add(run.figures) }
        figures.write(to: &text)
        skipped.writeMetrics(to: &text)
        text.family("sonde_netpol_proxy_requests_in_flight", .gauge, help: "Requests under way.")
        text.sample(run?.inFlight ?? 0)
        text.family("sonde_netpol_proxy_result_bytes", .gauge, help: "Results held, in bytes.")
        text.sample(run?.resultBytes ?? 0)
    }
}

@available(*, unavailable)
extension ProxyService: Sendable {}
