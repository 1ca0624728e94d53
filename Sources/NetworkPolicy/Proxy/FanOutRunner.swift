import Instrument
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

    private let driver: MachineDriver<FanOutMachine>
    private let exchange: Exchange
    private let observer: Observer
    private var cancels: [Int: () -> Void] = [:]
    private let timeoutWords: String

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
        driver = MachineDriver(loop: loop, machine: machine)
        self.timeoutWords = timeoutWords
        self.observer = observer
        self.exchange = exchange
        driver.onAction { [unowned self] action, _ in perform(action) }
    }

    private var machine: FanOutMachine { driver.machine }
    var inFlight: Int { machine.inFlight }
    var succeededCount: Int { machine.succeededCount }
    var givenUpCount: Int { machine.givenUpCount }
    var retryCount: Int { machine.retryCount }
    /// Clients that are neither done nor given up.
    var unsettled: [Int] { machine.unsettled }

    func start() { driver.step { $0.start(now: $1, &$2) } }

    /// Breaks everything off; nothing is told any more.
    func stop() {
        driver.close()
        var actions: [FanOutMachine.Action] = []
        driver.machine.stop(&actions)
        for case .cancel(let client, _) in actions { cancels.removeValue(forKey: client)?() }
    }

    private func perform(_ action: FanOutMachine.Action) {
        switch action {
        case .send(let client, let attempt): send(client, attempt)
        case .cancel(let client, let attempt):
            cancels.removeValue(forKey: client)?()
            observer.failed(client, attempt, timeoutWords)
        case .gaveUp(let client): observer.gaveUp(client)
        case .finished:
            driver.close()
            observer.finished()
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
            return driver.step { $0.succeeded(client: client, attempt: attempt, now: $1, &$2) }
        }
        observer.failed(client, attempt, failure)
        driver.step { $0.failed(client: client, attempt: attempt, now: $1, &$2) }
    }
}
