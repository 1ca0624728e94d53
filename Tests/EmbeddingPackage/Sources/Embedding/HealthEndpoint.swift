import HTTP
import Reactor

/// Answers `GET /healthz`: 200 while the program is well, 503 with the reason when it is not.
public final class HealthEndpoint {
    private let server: HTTPServer
    private let health: Health

    private final class Health {
        var problem: String?
    }

    /// Where it listens.
    public let address: SocketAddress

    /// What is wrong with the program; nil while nothing is.
    public var problem: String? {
        get { health.problem }
        set { health.problem = newValue }
    }

    /// - Throws: `UVError` when the address cannot be had.
    public init(loop: EventLoop, address: SocketAddress) throws(UVError) {
        let health = Health()
        var router = HTTPRouter()
        router.on(.get, "/healthz") { _, responder in
            if let problem = health.problem {
                responder.respond(status: 503, body: problem + "\n")
            } else {
                responder.respond(status: 200, literal: "ok\n")
            }
        }
        server = HTTPServer(loop: loop, router: router)
        self.health = health
        self.address = try server.listen(on: address)
    }

    /// Lets requests under way finish, then closes.
    /// - Parameter completion: called when nothing is open any more.
    public func drain(grace: Duration, completion: @escaping () -> Void) {
        server.drain(grace: grace, completion: completion)
    }
}
