import HTTP
import Instrument
import JSONCodec
import Logging
import Pacing
import Reactor
import Telemetry

/// The external target: answers `pong` to allowed sources, and closes the others' connections
/// without a byte.
public final class ExternalTargetService: Service {
    /// Networks of rejected sources that are told apart; the rest is counted together.
    private static let networkLimit = 256

    private let loop: EventLoop
    private let configuration: ExternalTargetConfiguration
    private let logger: Logger
    private let control: ControlPoint
    private var listener: TCPListener?
    private var record: SourceRecord?
    /// A connection's tag is its place here.
    private var connections: [TCPConnection] = []
    private var onClose: (TCPConnection) -> Void = { _ in }

    private(set) var accepted = 0
    private(set) var answered = 0
    /// By the /24 (IPv4) or /64 (IPv6) of the source; nil for those beyond the limit.
    private(set) var rejected: [CIDR?: Int] = [:]

    /// - Parameters:
    ///   - loop: the service lives on it until ``drain(grace:completion:)`` has completed.
    ///   - security: TLS on all that it serves by HTTP; nil for none.
    public init(
        loop: EventLoop, configuration: ExternalTargetConfiguration, logger: Logger,
        security: ServerSecurity? = nil
    ) {
        self.loop = loop
        self.configuration = configuration
        self.logger = logger
        control = ControlPoint(
            loop: loop, logger: logger, allowFrom: configuration.allowFrom, security: security)
        onClose = { [unowned self] in closed($0) }
        control.common(
            role: "egw-external-target", status: { [unowned self] in writeStatus(to: &$0) },
            metrics: { [unowned self] in writeMetrics(to: &$0) })
    }

    /// Begins to listen.
    /// - Throws: ``UVError`` with the address or the path that cannot be had.
    public func start() throws(UVError) {
        if let path = configuration.recordPath {
            record = try SourceRecord(loop: loop, path: path, logger: logger)
        }
        let listener = try listen()
        self.listener = listener
        if let address = configuration.metricsListen { try control.listen(on: address) }
        let blocks = configuration.allowed.map(\.description).joined(separator: ", ")
        let end = configuration.keepsOpen ? "kept open" : "closed after the answer"
        logger.info(
            "Listening for new connections on \(listener.localAddress), allowed: \(blocks), \(end)")
    }

    /// Closes every connection, lets requests under way finish, and calls `completion`.
    public func drain(grace: Duration, completion: @escaping () -> Void) {
        listener?.close()
        record?.close()
        record = nil
        for connection in connections {
            connection.onClose = nil  // it may outlive this object
            connection.close()
        }
        connections = []
        control.drain(grace: grace) { [self] in
            _ = self
            completion()
        }
    }

    /// Where it listens.
    public var address: SocketAddress? { listener?.localAddress }
    /// Where `/metrics` and `/status` are served.
    public var metricsAddress: SocketAddress? { control.address }
    /// Connections that are open now.
    public var open: Int { connections.count }

    private func listen() throws(UVError) -> TCPListener {
        let address = configuration.listen
        do throws(UVError) {
            return try listen(on: address)
        } catch {
            // A machine without IPv6: "every address" then means every IPv4 address.
            let lacksIPv6 = error.isLocal && error.kind != .addressInUse
            guard address.ipAddress == .anyV6, lacksIPv6 else { throw error }
            return try listen(on: SocketAddress(.anyV4, port: address.port))
        }
    }

    private func listen(on address: SocketAddress) throws(UVError) -> TCPListener {
        // The kernel holds as many as it allows, until a burst has been accepted.
        try TCPListener(
            loop: loop, address: address, backlog: 65535, busyPoll: .microseconds(50)
        ) { [unowned self] in accept($0) }
    }

    private func accept(_ connection: TCPConnection) {
        accepted += 1
        guard let source = connection.peerAddress else { return connection.close() }
        let isAllowed = configuration.allows(source.ipAddress)
        record?.append(source, isAnswered: isAllowed)
        guard isAllowed else {
            count(rejected: source.ipAddress)
            logger.debug("Rejected \(source)")
            return connection.close()
        }
        answered += 1
        MasqueradeMachine.pong.withUnsafeBytes { _ = connection.write($0) }
        guard configuration.keepsOpen else { return connection.closeAfterWriting() }
        connection.tag = connections.count
        connections.append(connection)
        connection.onClose = onClose
        // What it sends is dropped; that it ends is noticed.
        connection.resumeReading()
    }

    private func closed(_ connection: TCPConnection) {
        let last = connections.count - 1
        if connection.tag != last {
            connections[connection.tag] = connections[last]
            connections[connection.tag].tag = connection.tag
        }
        connections.removeLast()
    }

    private func count(rejected source: IPAddress) {
        let network = CIDR(source, prefixLength: source.isIPv6 ? 64 : 24)
        let isKnown = rejected[network] != nil
        let hasRoom = rejected.count < ExternalTargetService.networkLimit
        rejected[isKnown || hasRoom ? network : nil, default: 0] += 1
    }

    // MARK: - Report

    /// The counts in one line.
    public var summary: String {
        let outside = accepted - answered
        return "egw external-target: \(accepted) connections accepted, \(answered) answered, "
            + "\(outside) from other sources"
    }

    private var rejectedByNetwork: [(name: String, count: Int)] {
        rejected.map { ($0.key?.description ?? "other", $0.value) }.sorted { $0.name < $1.name }
    }

    private func writeStatus(to writer: inout JSONWriter) {
        writer.member("accepted", integer: accepted)
        writer.member("answered", integer: answered)
        writer.member("open", integer: open)
        writer.member("starvations", integer: listener?.starvations ?? 0)
        if let record { writer.member("recordlost", integer: record.lost) }
        writer.key("rejected")
        writer.beginObject()
        for (name, count) in rejectedByNetwork {
            writer.key(name)
            writer.integer(count)
        }
        writer.endObject()
    }

    private func writeMetrics(to text: inout PrometheusText) {
        text.family("sonde_egw_target_accepted_total", .counter, help: "Connections accepted.")
        text.sample(accepted)
        text.family(
            "sonde_egw_target_answered_total", .counter, help: "Connections from allowed sources.")
        text.sample(answered)
        text.family(
            "sonde_egw_target_rejected_total", .counter,
            help: "Connections from other sources, by the /24 or /64 of the source.")
        for (name, count) in rejectedByNetwork { text.sample(count, [("network", name)]) }
        text.family("sonde_egw_target_open_connections", .gauge, help: "Connections open now.")
        text.sample(open)
        text.family(
            "sonde_egw_target_starvations_total", .counter,
            help: "How often accepting paused because descriptors had run out.")
        text.sample(listener?.starvations ?? 0)
    }
}

@available(*, unavailable)
extension ExternalTargetService: Sendable {}
