import HTTPTypes
import Pacing
import Reactor
import Testing

@testable import HTTP

@Suite(.serialized) struct ClientQueueTests {
    private func request(_ authority: String) -> HTTPRequest {
        HTTPRequest(method: .get, scheme: "http", authority: authority, path: "/")
    }

    @Test("a request without time is one that timed out here", arguments: [0, -1, Int64.min])
    func noTime(nanoseconds: Int64) throws {
        var errors: [HTTPError] = []
        try withPair {
            $1.respond(status: 204)
        } client: { client, authority, done in
            var options = HTTPRequestOptions()
            options.timeout = .nanoseconds(nanoseconds)
            let call = client.send(request(authority), options: options) { result in
                if case .failure(let error) = result { errors.append(error) }
                done()
            }
            #expect(call == nil)
            #expect(errors.isEmpty, "not before the call has returned")
        }
        #expect(errors == [HTTPError(.timedOut, fault: .local)])
    }

    @Test("timeouts of many lengths share one timer, which keeps no loop running")
    func timers() throws {
        var timers: [Int] = []
        try withPair {
            $1.respond(status: 204)
        } client: { client, authority, done in
            func next(_ left: Int) {
                timers.append(client.loop.openHandles["timer"] ?? 0)
                if left == 0 { return done() }
                var options = HTTPRequestOptions()
                options.timeout = .seconds(30 - left)
                client.send(request(authority), options: options) { result in
                    #expect((try? result.get())?.status == 204)
                    next(left - 1)
                }
            }
            next(20)
        }
        #expect(timers.count == 21)
        // Of the first exchange: its own deadline's, and the server's.
        #expect((timers.last ?? 0) <= timers[1] + 1)
    }

    @Test("many who wait and give up cost each other nothing, and the next in line is served")
    func givingUp() throws {
        var served: [Int] = []
        var configuration = HTTPClientConfiguration()
        configuration.maximumConnections = 1
        var (requests, first): (Int, HTTPResponder?) = (0, nil)
        try withPair(clientConfiguration: configuration) {
            requests += 1
            if requests == 1 { first = $1 } else { $1.respond(status: 204) }
        } client: { client, authority, done in
            var calls: [HTTPClientCall] = []
            for number in 0..<1000 {
                let call = client.send(request(authority)) { _ in
                    served.append(number)
                    if number == 999 { done() }
                }
                if let call { calls.append(call) }
            }
            for (number, call) in calls.enumerated() where number % 250 != 0 && number != 999 {
                call.cancel()
            }
            client.loop.pollUntil({ first != nil }) {
                first?.respond(status: 204)
                first = nil
            }
        }
        #expect(served == [0, 250, 500, 750, 999])
    }
}
