import HTTPCodec
import Pacing
import Reactor

/// Finds a connection for one call: looks the name up, and tries its addresses as the machine says.
final class ClientConnector {
    private let client: HTTPClient
    private let origin: Origin
    private let dialer: any HTTPDialer
    private let onOutcome: (Result<ClientConnection, StreamError>) -> Void
    private var query: (() -> Void)?
    private var addresses: [SocketAddress?] = []
    private var race = AddressRaceMachine(isIPv6: [])
    private var attempts: [Int: HTTPDialAttempt] = [:]
    private var timer: Timer?
    private var isOver = false
    /// What to tell where none can be had: another's doing rather than this machine's, which may
    /// lack a family of addresses and still have the other.
    private var failure: StreamError?

    init(
        _ client: HTTPClient, _ origin: Origin, dialer: any HTTPDialer,
        onOutcome: @escaping (Result<ClientConnection, StreamError>) -> Void
    ) {
        self.client = client
        self.origin = origin
        self.dialer = dialer
        self.onOutcome = onOutcome
    }

    func start() {
        if dialer.dialsByName { return begin([nil]) }
        if let address = IPAddress(origin.host) {
            return begin([SocketAddress(address, port: origin.port)])
        }
        query = client.resolve(origin.host, origin.port, client.loop) { [self] result in
            query = nil
            if isOver { return }
            switch result {
            case .success(let addresses): begin(reachable(addresses))
            case .failure(let error): end(.failure(StreamError(error)))
            }
        }
    }

    /// Nobody wants a connection any more.
    func cancel() {
        if isOver { return }
        isOver = true
        query?()
        query = nil
        step { race, _, actions in race.stop(&actions) }
    }

    /// Those that a connection from the source can have: of its family. All, where none is, so that
    /// the failure tells why.
    private func reachable(_ addresses: [SocketAddress]) -> [SocketAddress] {
        guard let source = origin.source else { return addresses }
        let same = addresses.filter { $0.ipAddress.isIPv6 == source.ipAddress.isIPv6 }
        return same.isEmpty ? addresses : same
    }

    private func begin(_ addresses: [SocketAddress?]) {
        self.addresses = addresses
        race = AddressRaceMachine(isIPv6: addresses.map { $0?.ipAddress.isIPv6 ?? false })
        step { race, now, actions in race.start(now: now, &actions) }
    }

    private func step(
        _ event: (inout AddressRaceMachine, Instant, inout [AddressRaceMachine.Action]) -> Void
    ) {
        var actions: [AddressRaceMachine.Action] = []
        event(&race, client.loop.now, &actions)
        for action in actions { carryOut(action) }
        if let deadline = race.nextDeadline {
            if timer == nil {
                timer = Timer(loop: client.loop) { [self] in
                    step { race, now, actions in race.tick(now: now, &actions) }
                }
            }
            timer?.schedule(at: deadline)
        } else {
            // It is what holds this object beside the attempts.
            timer?.close()
            timer = nil
        }
    }

    private func carryOut(_ action: AddressRaceMachine.Action) {
        switch action {
        case .dial(let index): dial(index)
        case .abandon(let index): attempts.removeValue(forKey: index)?.cancel()
        case .won: break  // `ended` has it
        case .exhausted:
            if let failure { end(.failure(failure)) }
        }
    }

    private func dial(_ index: Int) {
        let attempt = HTTPDialAttempt(client, origin, address: addresses[index]) { [self] in
            attempts[index] = nil
            ended(index, $0)
        }
        attempts[index] = attempt
        dialer.dial(attempt)
    }

    private func ended(_ index: Int, _ outcome: Result<ClientConnection, StreamError>) {
        switch outcome {
        case .success(let connection):
            step { race, _, actions in race.connected(index, &actions) }
            end(.success(connection))
        case .failure(let error):
            if failure == nil || !error.isLocal { failure = error }
            step { race, now, actions in race.failed(index, now: now, &actions) }
        }
    }

    private func end(_ outcome: Result<ClientConnection, StreamError>) {
        if isOver { return }
        isOver = true
        onOutcome(outcome)
    }
}

@available(*, unavailable)
extension ClientConnector: Sendable {}
