import HTTPCodec
import Pacing
import Reactor

/// One client of a bench: carries its machine's decisions out on one connection.
///
/// Two machines decide: ``BenchClientMachine`` about requests and time, `ClientConnectionMachine`
/// about bytes. Both lie behind pointers, because mutating a property of a class in place is
/// checked at run time; nothing is allocated for a request.
final class BenchClient {
    private struct State {
        var machine: BenchClientMachine
        var codec = ClientConnectionMachine()
        var frontPort: UInt16 = 0
        var backPort: UInt16 = 0
        var instance: UInt16?
        var outcome = RequestOutcome.other
        /// Bytes of a head that is not complete yet.
        var kept: [UInt8] = []
        var token: DeadlineToken?
        /// The name of an instance that has no number of its own.
        var unnumbered: [UInt8] = []
    }

    let number: Int
    /// Strongly, because a weaker hold is counted at every use; the bench lets go of its clients.
    private let bench: Bench
    private let state: UnsafeMutablePointer<State>
    private var connection: TCPConnection?
    private var pause: Timer?
    private let context: HTTPCodecContext

    init(number: Int, bench: Bench, machine: BenchClientMachine) {
        self.number = number
        self.bench = bench
        context = bench.context
        state = .allocate(capacity: 1)
        state.initialize(to: State(machine: machine))
    }

    deinit { state.deinitialize(count: 1).deallocate() }

    var isBusy: Bool { state.pointee.machine.isBusy }

    // MARK: Events

    func start(now: Instant) {
        perform(state.pointee.machine.start(now: now, bench.permit(now)), now)
    }

    /// A request may be due, or may have taken too long.
    func deadlinePassed(now: Instant) {
        bench.ownDelay?.sample(now: now)
        perform(state.pointee.machine.deadlinePassed(now: now, bench.permit(now)), now)
        // It may have more time than the queue of timeouts gives, or wait before it reconnects.
        if state.pointee.token == nil { schedule() }
    }

    /// The moment at which its next request is due has come, unless it is behind already.
    func slotCame() {
        let now = bench.loop.now
        guard let due = state.pointee.machine.restingUntil, due <= now else { return }
        bench.noteDelay(now - due)
        deadlinePassed(now: now)
    }

    /// Its timeout's place in the queue has been used up.
    func timeoutPassed(now: Instant) {
        state.pointee.token = nil
        deadlinePassed(now: now)
    }

    /// This process did not run for so long.
    func slept(_ pause: Duration, now: Instant) {
        state.pointee.machine.slept(pause, now: now)
    }

    func release(now: Instant) {
        perform(state.pointee.machine.release(now: now, bench.permit(now)), now)
    }

    /// Nothing else begins.
    func stop() { perform(state.pointee.machine.stop(), bench.loop.now) }

    /// Lets go of everything at once.
    func close() {
        pause?.close()
        pause = nil
        drop()
    }

    private func connected(_ result: Result<Void, UVError>) {
        let now = bench.loop.now
        switch result {
        case .success:
            state.pointee.frontPort = connection?.localAddress?.port ?? 0
            perform(state.pointee.machine.connected(now: now), now)
        case .failure(let error):
            connection = nil
            let outcome = RequestOutcome(connecting: error)
            perform(state.pointee.machine.connectFailed(outcome, now: now), now)
        }
    }

    private func ended(_ error: UVError?) {
        let now = bench.loop.now
        if case .endOfResponse = state.pointee.codec.receiveEnd(), error == nil {
            return responded(now)
        }
        lost(RequestOutcome(losing: error), now)
    }

    private func lost(_ outcome: RequestOutcome, _ now: Instant) {
        perform(state.pointee.machine.lost(outcome, now: now, bench.permit(now)), now)
    }

    // MARK: Bytes

    private func received(_ bytes: UnsafeRawBufferPointer) {
        let now = bench.loop.now
        state.pointee.machine.received()
        guard !state.pointee.kept.isEmpty else { return read(bytes, now) }
        var all: [UInt8] = []
        swap(&all, &state.pointee.kept)
        all.append(contentsOf: bytes)
        all.withUnsafeBytes { read($0, now) }
    }

    private func read(_ bytes: UnsafeRawBufferPointer, _ now: Instant) {
        var consumed = 0
        while true {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[consumed...])
            let step = state.pointee.codec.receive(rest, context)
            consumed &+= step.consumed
            switch step.event {
            case .needMore:
                if consumed < bytes.count {
                    state.pointee.kept.append(contentsOf: bytes[consumed...])
                }
                return
            case .informational, .body, .trailers: continue
            case .response(let head):
                note(context.response(in: rest))
                guard head.framing == .none else { continue }
                return responded(now)
            case .endOfResponse:
                return responded(now)
            case .failed:
                return lost(.malformed, now)
            }
        }
    }

    /// Who answered, and over which connection.
    private func note(_ response: ResponseView) {
        let fields = response.fields
        state.pointee.outcome = RequestOutcome(status: response.status)
        state.pointee.backPort = fields["Source-Port"].map(port) ?? 0
        guard let field = fields["Backend-Id"], !field.isEmpty else {
            return state.pointee.instance = nil
        }
        let name = UnsafeRawBufferPointer(rebasing: field.prefix(RowFormat.longestName))
        let number = bench.instance(named: name)
        state.pointee.instance = number
        if number == InstanceTable.others {
            state.pointee.unnumbered = InstanceTable.repaired(name)
        }
    }

    /// A decimal from 1 to 65535; else 0.
    private func port(_ digits: UnsafeRawBufferPointer) -> UInt16 {
        guard (1...5).contains(digits.count) else { return 0 }
        var value = 0
        for digit in digits {
            guard digit &- 0x30 <= 9 else { return 0 }
            value = value &* 10 &+ Int(digit &- 0x30)
        }
        return UInt16(exactly: value) ?? 0
    }

    private func responded(_ now: Instant) {
        let step = state.pointee.machine.responded(
            state.pointee.outcome, isReusable: state.pointee.codec.isReusable, now: now,
            bench.permit(now))
        perform(step, now)
    }

    // MARK: Actions

    private func perform(_ step: BenchClientMachine.Step, _ now: Instant) {
        if let start = step.ended { record(start, step.outcome, now) }
        if step.drops { drop() }
        switch step.next {
        case .wait: rest()
        case .connect:
            bench.requestBegins()
            restartTimeout(now)
            connect()
        case .send:
            bench.requestBegins()
            restartTimeout(now)
            send()
        case .sendFirst: send()
        case .stop:
            close()
            bench.clientStopped()
        }
    }

    private func record(_ start: Instant, _ outcome: RequestOutcome, _ now: Instant) {
        let isAnswered = outcome.isAnswered
        let row = RequestRecord(
            nanoseconds: Int64(bitPattern: now.nanoseconds &- bench.origin.nanoseconds),
            latencyNanoseconds: max(Int64(bitPattern: now.nanoseconds &- start.nanoseconds), 0),
            client: number,
            outcome: outcome, instance: isAnswered ? state.pointee.instance : nil,
            frontPort: state.pointee.frontPort, backPort: isAnswered ? state.pointee.backPort : 0)
        bench.record(row, unnumbered: state.pointee.unnumbered)
    }

    private func connect() {
        let connection = TCPConnection(loop: bench.loop)
        self.connection = connection
        state.pointee.codec = ClientConnectionMachine()
        state.pointee.frontPort = 0
        // Held strongly for the same reason; closing the connection drops all three.
        connection.onRead = { [self] in received($1) }
        connection.onEnd = { [self] in ended($1) }
        connection.connect(to: bench.target, readsAtOnce: true) { [self] in connected($1) }
    }

    private func send() {
        _ = state.pointee.codec.startRequest(method: .get)
        connection?.write(bench.requestBytes)
    }

    private func drop() {
        connection?.close()
        connection = nil
        state.pointee.frontPort = 0
        state.pointee.kept.removeAll(keepingCapacity: true)
    }

    /// Nothing is under way: only a pause or a time to come needs a timer.
    private func rest() {
        if state.pointee.machine.isBusy { return }
        if let token = state.pointee.token {
            bench.timeouts.cancel(token)
            state.pointee.token = nil
        }
        schedule()
    }

    /// A deadline that is not in the queue of timeouts.
    private func schedule() {
        guard state.pointee.machine.restingUntil == nil,
            let end = state.pointee.machine.nextDeadline
        else { return }
        if pause == nil {
            pause = Timer(loop: bench.loop) { [unowned self] in
                deadlinePassed(now: bench.loop.now)
            }
        }
        pause?.schedule(at: end)
    }

    private func restartTimeout(_ now: Instant) {
        if let token = state.pointee.token {
            bench.timeouts.restart(token, now: now)
        } else {
            state.pointee.token = bench.timeouts.start(number, now: now)
        }
    }
}

extension RequestOutcome {
    /// Why connecting failed.
    init(connecting error: UVError) {
        switch error.kind {
        case .outOfDescriptors: self = .noDescriptor
        case .addressInUse, .addressNotAvailable: self = .noPort
        case _ where error.isLocal || error.operation == "bind": self = .local
        case .refused: self = .refused
        case .timedOut: self = .connectTimedOut
        case .unreachable: self = .unreachable
        case .reset: self = .reset
        default: self = .other
        }
    }

    /// Why a connection ended; nil for the peer's FIN.
    init(losing error: UVError?) {
        switch error?.kind {
        case nil: self = .closed
        case .reset: self = .reset
        case .timedOut: self = .timedOut
        case .unreachable: self = .unreachable
        default: self = .other
        }
    }
}
