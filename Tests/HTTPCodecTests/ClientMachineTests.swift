import Testing

@testable import HTTPCodec

@Suite struct ClientMachineTests {
    /// What a machine makes of one read that holds all of `text`.
    private func outcome(
        _ text: String, to method: RequestMethod = .get
    ) -> (events: [ClientConnectionMachine.Event], isReusable: Bool) {
        var machine = ClientConnectionMachine()
        let context = HTTPCodecContext()
        let isStarted = machine.startRequest(method: method)
        #expect(isStarted)
        var events: [ClientConnectionMachine.Event] = []
        var bytes = Array(text.utf8)
        while machine.isWaiting {
            let step = bytes.withUnsafeBytes { machine.receive($0, context) }
            if step.event == .needMore { break }
            events.append(step.event)
            bytes.removeFirst(step.consumed)
        }
        return (events, machine.isReusable)
    }

    @Test(
        "bytes behind a response leave it whole, and its connection without further use",
        arguments: [
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n",
        ])
    func surplus(response: String) {
        let exact = outcome(response)
        let followed = outcome(response + "H")
        #expect(exact.isReusable)
        #expect(!followed.isReusable)
        #expect(followed.events == exact.events)
        #expect(!exact.events.isEmpty)
    }
}
