import HTTP
import Pacing
import Reactor
import Testing

@testable import Instrument

/// Waiting for a first success, against a server that is late or never good.
@Suite(.serialized) struct TargetWaitTests {
    /// What the server saw, and how the wait ended.
    private struct Outcome {
        var requests: [String] = []
        var reasons: [String] = []
        /// Nil while it has not ended.
        var end: String??
    }

    private func wait(
        limit: Duration, timeout: Duration = .seconds(5),
        answer: @escaping (_ number: Int, HTTPResponder) -> Void
    ) throws -> Outcome {
        var outcome = Outcome()
        try withLoop { loop in
            let server = HTTPServer(loop: loop) { request, responder in
                let host = request.head.authority
                outcome.requests.append("\(host) \(request.path)?\(request.query ?? "")")
                answer(outcome.requests.count, responder)
            }
            let address = try server.listen(on: anyPort)
            var wait: TargetWait?
            wait = TargetWait(
                loop: loop, authority: "\(address)", path: "/a?b", host: "name", limit: limit,
                timeout: timeout, onFailure: { outcome.reasons.append($0) }
            ) { failure in
                outcome.end = .some(failure)
                wait = nil
                server.close()
            }
            _ = wait
        }
        return outcome
    }

    @Test("it asks until the first 200, under the host's name; each new reason is told once")
    func success() throws {
        let outcome = try wait(limit: .seconds(20)) { number, responder in
            switch number {
            case 1, 2: responder.respond(status: 503, body: "")
            case 3: responder.respond(status: 404, body: "")
            default: responder.respond(status: 200, body: "")
            }
        }
        #expect(outcome.requests == Array(repeating: "name /a?b", count: 4))
        #expect(outcome.reasons == ["status 503", "status 404"])
        #expect(outcome.end == .some(nil))
    }

    @Test("past the limit it ends with the last reason")
    func limit() throws {
        let outcome = try wait(limit: .milliseconds(10)) { _, responder in
            responder.respond(status: 503, body: "")
        }
        #expect(outcome.requests.count == 1 && outcome.end == .some("status 503"))
    }

    @Test("an attempt without an answer is given up, and another begun")
    func silence() throws {
        var held: [HTTPResponder] = []
        let outcome = try wait(limit: .seconds(20), timeout: .milliseconds(20)) {
            number, responder in
            if number == 1 {
                held.append(responder)
            } else {
                responder.respond(status: 200, body: "")
            }
        }
        held = []  // the server's handler holds them, and they the server
        #expect(outcome.reasons == ["timed out"] && outcome.end == .some(nil))
    }

    @Test("one attempt takes a quarter of the time at most, or five seconds, or all there is")
    func attempts() {
        func timeout(_ timeout: Duration?, _ limit: Int) -> Duration {
            TargetWait.timeout(timeout, within: .seconds(limit))
        }
        #expect(timeout(nil, 60) == .seconds(15) && timeout(.seconds(600), 60) == .seconds(15))
        #expect(timeout(nil, 10) == .seconds(5) && timeout(nil, 2) == .seconds(2))
        #expect(timeout(.seconds(3), 60) == .seconds(3))
    }

    @Test(
        "a name that does not resolve and a port where nobody listens are reasons; it can be ended")
    func unreachable() throws {
        try withLoop { loop in
            let port = try freePort(loop)
            for authority in ["no.such.host.invalid:80", "127.0.0.1:\(port)"] {
                var reason = ""
                let wait = TargetWait(
                    loop: loop, authority: authority, path: "/", limit: .seconds(60),
                    timeout: .seconds(5), onFailure: { reason = $0 }
                ) { _ in Issue.record("it was cancelled") }
                when(loop, { reason != "" }) {
                    #expect(reason.hasPrefix(authority.hasPrefix("no") ? "resolve" : "connect"))
                    wait.cancel()
                    wait.cancel()
                }
            }
        }
    }
}
