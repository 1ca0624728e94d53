import HTTP
import HTTPSecure
import HTTPTypes
import Reactor
import TLS

/// The smallest server: 200 and "hello" to everything, through the public HTTPServer.
///
///     hello-sonde [ADDRESS:PORT [CERTIFICATE KEY]]
///
/// Prints the address, and serves until it is ended. With a certificate it speaks TLS, and answers
/// `/N` with N bytes.
@main
struct HelloSonde {
    static func main() throws {
        let arguments = CommandLine.arguments
        guard let address = SocketAddress(arguments.count > 1 ? arguments[1] : "127.0.0.1:0"),
            arguments.count <= 2 || arguments.count == 4
        else {
            print("usage: hello-sonde [ADDRESS:PORT [CERTIFICATE KEY]]")
            return
        }
        let loop = try EventLoop()
        if arguments.count == 4 {
            return try secure(loop, address, .init(chainFile: arguments[2], keyFile: arguments[3]))
        }
        let server = HTTPServer(loop: loop) { _, responder in
            responder.respond(status: 200, literal: "hello, world\n")
        }
        print(try server.listen(on: address))
        Output.flush()
        loop.run()
    }

    private static func secure(
        _ loop: EventLoop, _ address: SocketAddress, _ identity: TLSConfiguration.Identity
    ) throws {
        let endpoint = TLSEndpoint(loop: loop, context: try TLSContext(.server(identity: identity)))
        let piece = [UInt8](repeating: 0x61, count: 64 << 10)
        let server = HTTPServer(loop: loop) { request, responder in
            guard let count = Int64(request.path.dropFirst()) else {
                responder.respond(status: 200, literal: "hello, world\n")
                return
            }
            let response = HTTPResponse(status: .ok)
            guard let writer = responder.start(response, contentLength: count) else { return }
            send(count, of: piece, to: writer)
        }
        let listener = try TCPListener(loop: loop, address: address, backlog: 4096) { connection in
            let stream = try? TLSConnection(over: connection, endpoint: endpoint, peer: "client") {
                if case .success = $1 { server.serve($0) }
            }
            if stream == nil { connection.close() }
        }
        print(listener.localAddress)
        Output.flush()
        loop.run()
    }

    private static func send(_ count: Int64, of piece: [UInt8], to writer: HTTPResponseWriter) {
        var left = count
        while left > 0 {
            let size = min(Int(left), piece.count)
            left -= Int64(size)
            let outcome = piece.withUnsafeBytes {
                writer.write(UnsafeRawBufferPointer(rebasing: $0[..<size]))
            }
            if outcome == .gone { return }
            if outcome == .backpressured, left > 0 {
                let rest = left
                return writer.whenWritable { send(rest, of: piece, to: writer) }
            }
        }
        writer.finish()
    }
}
