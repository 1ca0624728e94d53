import HTTP
import Instrument
import JSONCodec
import Logging
import Pacing
import Reactor
import Telemetry

/// The egress gateway client: probes the external target until it answers, and then, if asked to,
/// opens connections to it until it has had enough.
public final class EgressClientService: Service {
    let loop: EventLoop
    let configuration: EgressClientConfiguration
    private let logger: Logger
    private let readWallClock: () -> WallClock
    private let control: ControlPoint
    private(set) var prober: MasqueradeProber?
    private(set) var stress: ConnectionStress?
    private var logged = [Int](repeating: 0, count: MissKind.allCases.count)

    /// - Parameters:
    ///   - loop: the service lives on it until ``drain(grace:completion:)`` has completed.
    ///   - security: TLS on all that it serves by HTTP; nil for none.
    public convenience init(
        loop: EventLoop, configuration: EgressClientConfiguration, logger: Logger,
        security: ServerSecurity? = nil
    ) {
        self.init(
            loop: loop, configuration: configuration, logger: logger, security: security
        ) {
            WallClock(nanosecondsSinceEpoch: EventLoop.wallClockNanoseconds)
        }
    }

    /// - Parameter readWallClock: what the machine's clock says; it may be set at any moment.
    init(
        loop: EventLoop, configuration: EgressClientConfiguration, logger: Logger,
        security: ServerSecurity? = nil, readWallClock: @escaping () -> WallClock
    ) {
        self.readWallClock = readWallClock
        self.loop = loop
        self.configuration = configuration
        self.logger = logger
        control = ControlPoint(
            loop: loop, logger: logger, allowFrom: configuration.allowFrom, security: security)
        control.common(
            role: "egw-client", isReady: { [unowned self] in isFinished },
            status: { [unowned self] in writeStatus(to: &$0) },
            metrics: { [unowned self] in writeMetrics(to: &$0) })
    }

    /// Begins to listen, and to probe.
    /// - Throws: ``UVError`` with the address that cannot be had.
    public func start() throws(UVError) {
        try control.listen(on: configuration.listen)
        let machine = configuration.machine(
            descriptorLimit: EventLoop.descriptorLimit,
            seed: UInt64(bitPattern: EventLoop.wallClockNanoseconds))
        let prober = MasqueradeProber(
            loop: loop, target: configuration.target,
            sources: configuration.stress?.sources ?? [], machine: machine,
            readWallClock: readWallClock
        ) { [unowned self] in observe($0) }
        self.prober = prober
        logger.info(
            "Probing \(configuration.target) every \(GoDuration(configuration.interval))")
        prober.start(origin: configuration.start.moment)
    }

    /// Breaks probes and connections off, lets requests under way finish, and calls `completion`.
    public func drain(grace: Duration, completion: @escaping () -> Void) {
        prober?.stop()
        stress?.stop()
        // The service lives until its last connection is gone.
        control.drain(grace: grace) { [self] in
            _ = self
            completion()
        }
    }

    /// Where the API listens.
    public var address: SocketAddress? { control.address }

    /// Whether the test is over: the target has answered, or the test timeout has passed; with
    /// stress, that no more connections are opened either.
    public var isFinished: Bool {
        guard let machine = prober?.machine, hasEnded else { return false }
        guard configuration.stress != nil, machine.hit != nil else { return true }
        return stress?.machine.isFinished ?? false
    }

    /// Whether the target has answered.
    public var hasSucceeded: Bool { prober?.machine.hit != nil }

    /// Whether the probing is over, one way or the other.
    private var hasEnded: Bool { hasSucceeded || prober?.machine.phase == .failed }

    // MARK: - Events

    private func observe(_ action: MasqueradeMachine.Action) {
        switch action {
        case .resolve, .launch, .cancel: break
        case .missed(let kind):
            logged[Int(kind.rawValue)] += 1
            let count = logged[Int(kind.rawValue)]
            if logger.logLevel <= .debug || LogLineLimit.isPrinted(occurrence: count) {
                logger.info("Missed the target: \(kind.words) (\(count) so far)")
            }
        case .answered:
            let delay = prober?.machine.delay ?? .zero
            logger.info("The target answered: masqueraded after \(GoDuration(delay)) at the latest")
            startStress()
        case .failed:
            logger.error(
                "No answer within \(GoDuration(configuration.testTimeout)): the test has failed")
        case .settled:
            logger.info("\(summary)")
            if let prober { logger.info("\(prober.machine.load.summary)") }
        case .warned(let text): logger.warning("\(text)")
        }
    }

    private func startStress() {
        guard let settings = configuration.stress, let address = prober?.address else { return }
        let stress = ConnectionStress(
            loop: loop, target: address, configuration: settings,
            // A probe that is under way is counted as unanswered from here on: it may be.
            machine: configuration.stressMachine(
                settings, descriptorLimit: EventLoop.descriptorLimit,
                load: prober?.machine.load ?? ProbeLoad())
        ) { [unowned self] in observe($0) }
        self.stress = stress
        stress.start()
    }
}

extension EgressClientService {
    private func observe(_ action: StressMachine.Action) {
        switch action {
        case .dial: break
        case .warned(let text): logger.warning("\(text)")
        case .finished(let end):
            logger.info("No more connections are opened: \(end.rawValue)")
            logger.info("\(summary)")
            if let stress { logger.info("\(stress.machine.load.summary)") }
        }
    }
}

@available(*, unavailable)
extension EgressClientService: Sendable {}
