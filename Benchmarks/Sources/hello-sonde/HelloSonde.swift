import HTTP
import Reactor

/// The smallest server: 200 and "hello" to everything, through the public HTTPServer.
///
///     hello-sonde [ADDRESS:PORT]
///
/// Prints the address, and serves until it is ended.
@main
struct HelloSonde {
    static func main() throws {
        let arguments = CommandLine.arguments
        guard let address = SocketAddress(arguments.count > 1 ? arguments[1] : "127.0.0.1:0") else {
            print("usage: hello-sonde [ADDRESS:PORT]")
            return
        }
        let loop = try EventLoop()
        let server = HTTPServer(loop: loop) { _, responder in
            responder.respond(status: 200, literal: "hello, world\n")
        }
        print(try server.listen(on: address))
        Output.flush()
        loop.run()
    }
}
