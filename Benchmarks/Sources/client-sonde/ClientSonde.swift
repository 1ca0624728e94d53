import HTTPCodec
import Pacing
import Reactor

/// The smallest load client: keep-alive connections in a closed loop, as wrk's are.
///
///     client-sonde ADDRESS:PORT CONNECTIONS SECONDS
///
/// Prints the number of responses. Any that is not 200 ends it with a complaint.
@main
struct ClientSonde {
    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 4, let address = SocketAddress(arguments[1]),
            let connections = Int(arguments[2]), let seconds = Int64(arguments[3])
        else {
            print("usage: client-sonde ADDRESS:PORT CONNECTIONS SECONDS")
            return
        }
        let loop = try EventLoop()
        let load = Load(loop: loop, address: address)
        for _ in 0..<connections { load.open() }
        let end = Timer(loop: loop) { load.stop() }
        end.schedule(after: .seconds(seconds))
        end.setKeepsLoopAlive(false)
        loop.run()
        print(load.responses)
    }
}

/// All connections; what one of them keeps between two reads is its machine.
final class Load {
    private let loop: EventLoop
    private let address: SocketAddress
    private let request: [UInt8]
    private let context = HTTPCodecContext()
    private var connections: [TCPConnection] = []
    private var machines: [ClientConnectionMachine] = []
    private(set) var responses = 0

    init(loop: EventLoop, address: SocketAddress) {
        self.loop = loop
        self.address = address
        request = Array("GET / HTTP/1.1\r\nHost: \(address)\r\n\r\n".utf8)
    }

    func open() {
        let connection = TCPConnection(loop: loop)
        connection.tag = connections.count
        connections.append(connection)
        machines.append(ClientConnectionMachine())
        connection.onRead = { [unowned self] in received($0, $1) }
        connection.onEnd = { [unowned self] connection, error in
            print("ended: \(error.map { "\($0)" } ?? "closed")")
            stop()
        }
        connection.connect(to: address) { [unowned self] connection, result in
            guard case .success = result else { return stop() }
            connection.resumeReading()
            send(connection)
        }
    }

    func stop() {
        for connection in connections { connection.close() }
    }

    private func send(_ connection: TCPConnection) {
        guard machines[connection.tag].startRequest(method: .get) else {
            print("the server would not keep the connection")
            return stop()
        }
        connection.write(request)
    }

    private func received(_ connection: TCPConnection, _ bytes: UnsafeRawBufferPointer) {
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
        send(connection)
    }

    private func fail(_ reason: String) {
        print("failed: \(reason)")
        stop()
    }
}
