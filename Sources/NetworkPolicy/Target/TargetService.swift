import HTTP
import HTTPCodec
import Instrument
import Logging
import Pacing
import Reactor

/// The settings of a target pod.
public struct TargetConfiguration: Sendable {
    /// Where it listens.
    public var listen = SocketAddress(.anyV6, port: 8080)

    /// Everything at its default.
    public init() {}
}

/// The target pod: 200 and nothing else, to any GET.
public final class TargetService: Service {
    private let configuration: TargetConfiguration
    private let control: ControlPoint

    /// - Parameters:
    ///   - loop: the service lives on it until ``drain(grace:completion:)`` has completed.
    ///   - security: TLS on all that it serves by HTTP; nil for none.
    public init(
        loop: EventLoop, configuration: TargetConfiguration, logger: Logger,
        security: ServerSecurity? = nil
    ) {
        self.configuration = configuration
        control = ControlPoint(loop: loop, logger: logger, security: security)
        control.router.otherwise { request, responder in
            if request.method == .get || request.method == .head {
                responder.respond(status: 200)
            } else {
                responder.respondMethodNotAllowed(allow: "GET, HEAD")
            }
            return .ignore
        }
        control.common(role: "target", status: { _ in }, metrics: { _ in })
    }

    /// Begins to listen.
    /// - Throws: ``UVError`` with the address that cannot be had.
    public func start() throws(UVError) {
        try control.listen(on: configuration.listen)
    }

    /// Takes nothing new, ends what is under way and closes everything; `completion` comes last.
    public func drain(grace: Duration, completion: @escaping () -> Void) {
        control.drain(grace: grace, completion: completion)
    }

    /// Where it listens.
    public var address: SocketAddress? { control.address }
}

@available(*, unavailable)
extension TargetService: Sendable {}
