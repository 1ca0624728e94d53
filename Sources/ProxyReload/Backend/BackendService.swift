import HTTP
import HTTPCodec
import Instrument
import Logging
import Pacing
import Reactor

/// What a backend answers, and how.
public struct BackendConfiguration: Sendable {
    /// The instance's name: the value of `Backend-Id`.
    public var identifier: String
    /// Where it listens.
    public var listen: SocketAddress
    /// After this many requests it closes a connection; nil for never.
    public var closeAfter: Int?
    /// Between a request and its answer.
    public var delay = Duration.zero

    /// Everything else at its default.
    public init(identifier: String, listen: SocketAddress) {
        self.identifier = identifier
        self.listen = listen
    }

    /// Whether the name can be a field's value, and is short enough to be recorded whole.
    public var isValid: Bool {
        HeadWriter.isValue(identifier) && !identifier.isEmpty
            && identifier.utf8.count <= RowFormat.longestName
    }
}

/// A backend that says who it is and over which connection the proxy came: 200 to every GET, with
/// `Backend-Id` and `Source-Port`. It keeps connections open and never closes first.
public final class BackendService: Service {
    private let loop: EventLoop
    private let configuration: BackendConfiguration
    private let logger: Logger
    private var server: HTTPServer?
    private let body: [UInt8]
    private var delays: DeadlineClass<HTTPResponder>?

    /// GETs that were answered.
    public private(set) var answered = 0

    /// - Parameter loop: the service lives on it until ``drain(grace:completion:)`` has completed.
    public init(loop: EventLoop, configuration: BackendConfiguration, logger: Logger) {
        self.loop = loop
        self.configuration = configuration
        self.logger = logger
        body = Array("\(configuration.identifier)\n".utf8)
    }

    /// Begins to listen.
    /// - Throws: ``UVError`` with the address that cannot be had.
    public func start() throws(UVError) {
        // Half a year: whoever may close a connection here is the proxy, not the backend.
        let forever = Duration.seconds(15_000_000)
        var settings = HTTPServerConfiguration()
        settings.headTimeout = forever
        settings.idleTimeout = forever
        settings.maximumRequestsPerConnection = configuration.closeAfter
        if configuration.delay > .zero {
            delays = DeadlineClass(loop: loop, timeout: configuration.delay) { [unowned self] in
                answer($0)
            }
        }
        let server = HTTPServer(loop: loop, configuration: settings) { [unowned self] in
            handle($0, $1)
        }
        self.server = server
        let address: SocketAddress
        do throws(UVError) {
            address = try server.listen(on: configuration.listen)
        } catch {
            // A machine without IPv6: "every address" then means every IPv4 address.
            let lacksIPv6 = error.isLocal && error.kind != .addressInUse
            guard configuration.listen.ipAddress == .anyV6, lacksIPv6 else {
                close()
                throw error
            }
            address = try server.listen(
                on: SocketAddress(.anyV4, port: configuration.listen.port))
        }
        logger.info("Backend \(configuration.identifier) listens on \(address)")
    }

    /// Takes nothing new, answers what is under way, and calls `completion`.
    public func drain(grace: Duration, completion: @escaping () -> Void) {
        guard let server else { return loop.enqueue(completion) }
        server.drain(grace: grace) { [self] in
            close()
            completion()
        }
    }

    /// Where it listens.
    public var address: SocketAddress? { server?.addresses.first }

    /// The count in one line.
    public var summary: String {
        "reload backend \(configuration.identifier): \(answered) requests answered"
    }

    private func close() {
        delays?.close()
        delays = nil
        server?.close()
        server = nil
    }

    private func handle(_ request: HTTPServerRequest, _ responder: HTTPResponder) {
        guard request.method == .get || request.method == .head else {
            responder.respondMethodNotAllowed(allow: "GET, HEAD")
            return
        }
        if let delays { _ = delays.start(responder) } else { answer(responder) }
    }

    private func answer(_ responder: HTTPResponder) {
        let port = Int64(responder.peerAddress?.port ?? 0)
        let isSent = body.withUnsafeBytes { body in
            responder.respond(status: 200, body: body) {
                (writer: HeadWriter) throws(HTTPCodecError) in
                try writer.field("Backend-Id", configuration.identifier)
                writer.field(literal: "Source-Port", port)
            }
        }
        if isSent { answered += 1 }
    }
}

@available(*, unavailable)
extension BackendService: Sendable {}
