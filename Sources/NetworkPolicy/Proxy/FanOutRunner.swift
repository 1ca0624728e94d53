import Pacing
import Reactor

/// Carries out what a `FanOutMachine` asks for, whatever the exchange with a client is.
final class FanOutRunner {
    /// Begins one exchange with a client. Its end is told once, never before this has returned:
    /// nil for success, otherwise what went wrong.
    /// - Returns: what breaks the exchange off; nothing is told after that.
    typealias Exchange = (
        _ client: Int, _ completion: @escaping (_ failure: String?) -> Void
    ) -> () -> Void

    private let loop: EventLoop
    private var machine: FanOutMachine
    private var timer: Timer?
    private let exchange: Exchange
    private let observer: Observer
    private var cancels: [Int: () -> Void] = [:]
    private let timeoutWords: String
    private var scratch: [FanOutMachine.Action] = []

    /// Who is told about failures and ends.
    struct Observer {
        /// A request failed; there may be others.
        var failed: (_ client: Int, _ attempt: Int, _ reason: String) -> Void
        /// There will be no further request.
        var gaveUp: (_ client: Int) -> Void
        /// Every client is done or given up.
        var finished: () -> Void
    }

    /// - Parameter timeoutWords: why a request failed that took too long.
    init(
        loop: EventLoop, machine: FanOutMachine, timeoutWords: String, observer: Observer,
        exchange: @escaping Exchange
    ) {
        self.loop = loop
        self.machine = machine
        self.timeoutWords = timeoutWords
        self.observer = observer
        self.exchange = exchange
        timer = Timer(loop: loop) { [unowned self] in step { $0.tick(now: $1, &$2) } }
    }

    var inFlight: Int { machine.inFlight }
    var succeededCount: Int { machine.succeededCount }
    var givenUpCount: Int { machine.givenUpCount }
    var retryCount: Int { machine.retryCount }
    /// Clients that are neither done nor given up.
    var unsettled: [Int] { machine.unsettled }

    func start() { step { $0.start(now: $1, &$2) } }

    /// Breaks everything off; nothing is told any more.
    func stop() {
        guard timer != nil else { return }
        var actions: [FanOutMachine.Action] = []
        machine.stop(&actions)
        for case .cancel(let client, _) in actions { cancels.removeValue(forKey: client)?() }
        closeTimer()
    }

    private func step(_ event: (inout FanOutMachine, Instant, inout [FanOutMachine.Action]) -> Void)
    {
        // A local buffer, as an observer may come back here.
        var actions: [FanOutMachine.Action] = []
        swap(&actions, &scratch)
        event(&machine, loop.now, &actions)
        var isFinished = false
        for action in actions {
            switch action {
            case .send(let client, let attempt): send(client, attempt)
            case .cancel(let client, let attempt):
                cancels.removeValue(forKey: client)?()
                observer.failed(client, attempt, timeoutWords)
            case .gaveUp(let client): observer.gaveUp(client)
            case .finished: isFinished = true
            }
        }
        actions.removeAll(keepingCapacity: true)
        swap(&actions, &scratch)
        if isFinished {
            closeTimer()
            observer.finished()
        } else if let deadline = machine.nextDeadline {
            if timer?.deadline != deadline { timer?.schedule(at: deadline) }
        } else {
            timer?.cancel()
        }
    }

    private func send(_ client: Int, _ attempt: Int) {
        cancels[client] = exchange(client) { [weak self] failure in
            self?.ended(client, attempt, failure)
        }
    }

    private func ended(_ client: Int, _ attempt: Int, _ failure: String?) {
        cancels[client] = nil
        guard let failure else {
            return step { $0.succeeded(client: client, attempt: attempt, now: $1, &$2) }
        }
        observer.failed(client, attempt, failure)
        step { $0.failed(client: client, attempt: attempt, now: $1, &$2) }
    }

    private func closeTimer() {
        timer?.close()
        timer = nil
    }
}
