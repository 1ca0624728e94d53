import Pacing
import TLS
@_exported import TestSupport

/// A client and a server whose bytes go from one to the other in memory.
final class Pair {
    /// One of the two, and all that it has said.
    final class End {
        var machine: TLSMachine
        var plaintext: [UInt8] = []
        var actions: [TLSMachine.Action] = []

        init(_ context: TLSContext, peer: String, name: String? = nil) throws {
            machine = try TLSMachine(context: context, peer: peer, serverName: name)
        }

        var session: TLSSession? {
            for case .established(let session) in actions { return session }
            return nil
        }
        var failure: TLSError? {
            for case .failed(let error) in actions { return error }
            return nil
        }

        var deadline: Instant? { machine.nextDeadline }

        func start(_ now: Instant = Pair.now) { machine.start(now: now, &actions) }
        func receive(_ bytes: some Collection<UInt8>) {
            Array(bytes).withUnsafeBytes {
                machine.received($0, now: Pair.now, into: &plaintext, &actions)
            }
        }
        func write(_ text: String) {
            Array(text.utf8).withUnsafeBytes { machine.write($0, &actions) }
        }
        func close() { machine.close(&actions) }
        func inputEnded() { machine.inputEnded(&actions) }
        func output() -> [UInt8] { machine.takeOutput() }
    }

    static let now = Instant(nanoseconds: 1_000_000_000)

    let client: End
    let server: End
    /// The most bytes that arrive at once.
    var piece = Int.max
    /// May change or drop what is on its way; the first argument tells whether from the client.
    var tamper: (Bool, [UInt8]) -> [UInt8] = { $1 }

    init(
        client: TLSContext, server: TLSContext, name: String? = "localhost",
        peer: String = "localhost:443"
    ) throws {
        self.client = try End(client, peer: peer, name: name)
        self.server = try End(server, peer: "the client")
    }

    /// Carries bytes until neither side has any.
    func exchange() {
        for _ in 0..<10_000 {
            let fromClient = client.output()
            let fromServer = server.output()
            if fromClient.isEmpty, fromServer.isEmpty { return }
            deliver(tamper(true, fromClient), to: server)
            deliver(tamper(false, fromServer), to: client)
        }
    }

    func handshake() {
        client.start()
        server.start()
        exchange()
    }

    private func deliver(_ bytes: [UInt8], to end: End) {
        var rest = bytes[...]
        while !rest.isEmpty {
            end.receive(rest.prefix(piece))
            rest = rest.dropFirst(piece)
        }
    }
}
