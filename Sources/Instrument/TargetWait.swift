import HTTP
import HTTPTypes
import Pacing
import Reactor

/// Waits for a target's first success before anything is measured: asks again and again, each time
/// by name and on a new connection, until an answer has status 200. Nothing of it is counted.
///
/// Behind a Kubernetes Service whose pods are not ready yet a measurement would begin with failures
/// that are nobody's, or with all connections on the pod that came first.
public final class TargetWait {
    private let client: HTTPClient
    private let request: HTTPRequest
    private var options = HTTPRequestOptions()
    private let driver: MachineDriver<RetryMachine>
    private var call: HTTPClientCall?
    private var reason = ""
    private let onFailure: (_ reason: String) -> Void
    private let completion: (_ failure: String?) -> Void

    /// Begins at once.
    ///
    /// - Parameters:
    ///   - authority: host and port.
    ///   - path: with its query.
    ///   - host: the Host field; nil for the authority.
    ///   - limit: how long after now an attempt may still begin.
    ///   - timeout: how long one attempt may take; it never takes more than a quarter of the limit
    ///     from the others, or 5 s.
    ///   - onFailure: told when the reason is another than that of the attempt before.
    ///   - completion: told once: nil for success, or why the last attempt failed.
    public init(
        loop: EventLoop, authority: String, path: String, host: String? = nil, limit: Duration,
        timeout: Duration? = nil, onFailure: @escaping (_ reason: String) -> Void = { _ in },
        completion: @escaping (_ failure: String?) -> Void
    ) {
        client = HTTPClient(loop: loop)
        request = HTTPRequest(method: .get, scheme: "http", authority: authority, path: path)
        options.host = host
        options.closesConnection = true
        let timeout = TargetWait.timeout(timeout, within: limit)
        options.timeout = timeout + .seconds(1)  // the machine keeps the time
        let backoff = Backoff(initial: .milliseconds(50), maximum: .milliseconds(500), jitter: 0)
        driver = MachineDriver(
            loop: loop,
            machine: RetryMachine(
                policy: .init(timeout: timeout, giveUpAfter: limit, backoff: backoff)))
        self.onFailure = onFailure
        self.completion = completion
        driver.onAction { [unowned self] action, _ in perform(action) }
        driver.step { $0.start(now: $1, &$2) }
    }

    /// How long an attempt may take, so that others have their turn.
    static func timeout(_ timeout: Duration?, within limit: Duration) -> Duration {
        min(timeout ?? limit, limit, max(.seconds(5), limit / 4))
    }

    /// Ends it without a word. Idempotent.
    public func cancel() {
        call?.cancel()
        call = nil
        driver.close()
        client.close()
    }

    private func perform(_ action: RetryMachine.Action) {
        switch action {
        case .attempt(let number): attempt(number)
        case .cancel:
            call?.cancel()
            note("timed out")
        case .gaveUp: end(reason)
        }
    }

    private func attempt(_ number: Int) {
        call = client.send(request, options: options) { [unowned self] result in
            call = nil
            switch result {
            case .success(let response) where response.status == 200:
                driver.machine.succeeded(attempt: number)
                return end(nil)
            case .success(let response): note("status \(response.status)")
            case .failure(let error): note("\(error)")
            }
            driver.step { $0.failed(attempt: number, now: $1, &$2) }
        }
    }

    private func note(_ new: String) {
        if new != reason { onFailure(new) }
        reason = new
    }

    private func end(_ failure: String?) {
        cancel()
        completion(failure)
    }
}

@available(*, unavailable)
extension TargetWait: Sendable {}
