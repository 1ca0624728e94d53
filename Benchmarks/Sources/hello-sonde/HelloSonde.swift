import HTTP
import Reactor

/// The smallest server: 200 and "hello" to everything, through the public HTTPServer.
///
///     hello-sonde [ADDRESS] [REQUESTS]
///
/// Prints the address, and ends after that many requests so that a profiler gets to write.
@main
struct HelloSonde {
    static func main() throws {
        let arguments = CommandLine.arguments
        guard let address = SocketAddress(arguments.count > 1 ? arguments[1] : "127.0.0.1:0"),
            let limit = arguments.count > 2 ? UInt64(arguments[2]) : UInt64.max
        else {
            print("usage: hello-sonde [ADDRESS:PORT] [REQUESTS]")
            return
        }
        let loop = try EventLoop()
        let server = HTTPServer(loop: loop) { _, responder in
            responder.respond(status: 200, literal: "hello, world\n")
        }
        print(try server.listen(on: address))
        Output.flush()
        // Looked at now and then, so that counting costs the requests nothing.
        var watch: Timer?
        watch = Timer(loop: loop) {
            if server.requestCount < limit {
                watch?.schedule(after: .milliseconds(20))
            } else {
                server.drain(grace: .seconds(1)) { watch?.close() }
            }
        }
        watch?.schedule(after: .milliseconds(20))
        loop.run()
        server.close()
        watch = nil
        try loop.close()
    }
}
