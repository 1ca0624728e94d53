import HTTPCodec
import HTTPSecure
import Pacing
import Reactor
import TLS

/// The smallest load client: keep-alive connections in a closed loop, as wrk's are.
///
///     client-sonde ADDRESS:PORT CONNECTIONS SECONDS [AUTHORITY [each]]
///
/// Prints the number of responses. Any that is not 200 ends it with a complaint. With the file of
/// an authority it speaks TLS, and asks for `localhost`; `each`: every request on a connection of
/// its own, which resumes a session.
@main
struct ClientSonde {
    static func main() throws {
        let arguments = CommandLine.arguments
        guard (4...6).contains(arguments.count), let address = SocketAddress(arguments[1]),
            let connections = Int(arguments[2]), let seconds = Int64(arguments[3])
        else {
            print("usage: client-sonde ADDRESS:PORT CONNECTIONS SECONDS [AUTHORITY [each]]")
            return
        }
        let loop = try EventLoop()
        if arguments.count == 4 {
            return run(TCPLoad(loop: loop, address: address), connections, seconds)
        }
        let context = try TLSContext(.client(trust: .file(arguments[4])))
        let load = TLSLoad(
            loop: loop, address: address, endpoint: TLSEndpoint(loop: loop, context: context))
        load.isEach = arguments.count == 6
        run(load, connections, seconds)
    }

    private static func run(_ load: Load<some ByteStream>, _ connections: Int, _ seconds: Int64) {
        for _ in 0..<connections { load.open() }
        let end = Timer(loop: load.loop) { load.stop() }
        end.schedule(after: .seconds(seconds))
        end.setKeepsLoopAlive(false)
        load.loop.run()
        print(load.responses)
    }
}

final class TCPLoad: Load<TCPConnection> {
    override func open() {
        let connection = TCPConnection(loop: loop)
        connection.connect(to: address) { [unowned self] connection, result in
            if case .success = result { begin(connection) } else { fail("\(result)") }
        }
    }
}

final class TLSLoad: Load<TLSConnection<TCPConnection>> {
    private let endpoint: TLSEndpoint

    init(loop: EventLoop, address: SocketAddress, endpoint: TLSEndpoint) {
        self.endpoint = endpoint
        super.init(loop: loop, address: address)
    }

    override func open() {
        let connection = TCPConnection(loop: loop)
        connection.connect(to: address) { [unowned self] connection, result in
            guard case .success = result else { return fail("\(result)") }
            let stream = try? TLSConnection(
                over: connection, endpoint: endpoint, peer: "\(address)", serverName: "localhost"
            ) { [unowned self] stream, result in
                if case .success = result { begin(stream) } else { fail("\(result)") }
            }
            if stream == nil { fail("no TLS session") }
        }
    }
}

/// All connections; what one of them keeps between two reads is its machine.
class Load<Stream: ByteStream> {
    let loop: EventLoop
    let address: SocketAddress
    private let request: [UInt8]
    private let context = HTTPCodecContext()
    private var connections: [Stream] = []
    private var machines: [ClientConnectionMachine] = []
    private var hasEnded = false
    private(set) var responses = 0
    /// Whether every request has a connection of its own.
    var isEach = false

    init(loop: EventLoop, address: SocketAddress) {
        self.loop = loop
        self.address = address
        request = Array("GET / HTTP/1.1\r\nHost: \(address)\r\n\r\n".utf8)
    }

    /// Opens one, and begins on it.
    func open() {}

    func begin(_ connection: Stream) {
        guard !hasEnded else { return connection.close() }
        connection.tag = connections.count
        connections.append(connection)
        machines.append(ClientConnectionMachine())
        connection.onRead = { [unowned self] in received($0, $1) }
        connection.onEnd = { [unowned self] connection, error in
            fail(error.map { "\($0)" } ?? "closed")
        }
        connection.resumeReading()
        send(connection)
    }

    func stop() {
        hasEnded = true
        for connection in connections { connection.close() }
    }

    private func send(_ connection: Stream) {
        guard machines[connection.tag].startRequest(method: .get) else {
            print("the server would not keep the connection")
            return stop()
        }
        connection.write(request)
    }

    private func received(_ connection: Stream, _ bytes: UnsafeRawBufferPointer) {
        var machine = machines[connection.tag]
        var rest = bytes
        var isDone = false
        while true {
            let step = machine.receive(rest, context)
            rest = UnsafeRawBufferPointer(rebasing: rest[step.consumed...])
            switch step.event {
            case .response(let head):
                guard head.status == 200 else { return fail("status \(head.status)") }
                isDone = head.framing == .none
            case .endOfResponse: isDone = true
            // A response of a few hundred bytes comes whole from a server on the same machine.
            case .needMore where !isDone && !rest.isEmpty: return fail("a head in two pieces")
            case .failed(let error): return fail("\(error)")
            default: break
            }
            if isDone || step.event == .needMore { break }
        }
        machines[connection.tag] = machine
        guard isDone else { return }
        responses += 1
        if isEach { again(connection) } else { send(connection) }
    }

    /// Another connection in the place of this one.
    private func again(_ connection: Stream) {
        let last = connections.removeLast()
        let machine = machines.removeLast()
        if last !== connection {
            last.tag = connection.tag
            connections[last.tag] = last
            machines[last.tag] = machine
        }
        connection.close()
        open()
    }

    func fail(_ reason: String) {
        guard !hasEnded else { return }
        print("failed: \(reason)")
        stop()
    }
}
