import HTTP
import Reactor

/// A program that serves until it gets `SIGTERM`, and then finishes what it has begun.
public enum DrainingService {
    /// - Parameters:
    ///   - grace: how long requests under way may take after the signal.
    ///   - whenListening: called before the loop runs.
    /// - Throws: `UVError` when the address or the signal cannot be had.
    public static func run(
        on address: SocketAddress, grace: Duration, whenListening: (SocketAddress) -> Void
    ) throws(UVError) {
        let loop = try EventLoop()
        let server = HTTPServer(loop: loop) { _, responder in
            responder.respond(status: 200, body: "hello\n")
        }
        let bound = try server.listen(on: address)
        var signal: SignalSource?
        signal = try SignalSource(loop: loop, signal: SignalSource.terminate) {
            signal?.close()
            server.drain(grace: grace)
        }
        whenListening(bound)
        loop.run()
        try loop.close()
    }
}
