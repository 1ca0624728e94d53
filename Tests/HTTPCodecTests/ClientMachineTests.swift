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

    @Test("the end of a kept connection before any answer is nobody's fault, once")
    func stale() {
        let context = HTTPCodecContext()
        func ended(
            after responses: [String], isFailure: Bool, mayRepeat: Bool
        ) -> ClientConnectionMachine.Outcome {
            var machine = ClientConnectionMachine()
            for response in responses {
                let isAccepted = machine.startRequest(method: .get)
                #expect(isAccepted)
                var text = response
                text.withUTF8 { _ = machine.receive(UnsafeRawBufferPointer($0), context) }
            }
            return machine.connectionEnded(isFailure: isFailure, mayRepeat: mayRepeat)
        }
        let whole = "HTTP/1.1 204 No Content\r\n\r\n"
        #expect(ended(after: [whole], isFailure: false, mayRepeat: true) == .idle)
        for isFailure in [true, false] {
            #expect(ended(after: [whole, ""], isFailure: isFailure, mayRepeat: true) == .stale)
            #expect(ended(after: [whole, ""], isFailure: isFailure, mayRepeat: false) == .lost)
            #expect(ended(after: [whole, "H"], isFailure: isFailure, mayRepeat: true) == .lost)
            #expect(ended(after: [""], isFailure: isFailure, mayRepeat: true) == .lost)
        }
        let endless = "HTTP/1.1 200 OK\r\n\r\n"
        #expect(ended(after: [endless], isFailure: false, mayRepeat: true) == .complete)
        #expect(ended(after: [endless], isFailure: true, mayRepeat: true) == .lost)
    }

    // MARK: - Every event in every state

    private typealias Machine = ClientConnectionMachine

    /// A machine that has sent a request, and got these bytes.
    private func machine(
        after text: String?, method: RequestMethod = .get, keepsAlive: Bool = true,
        isComplete: Bool = true
    ) -> (machine: Machine, last: Machine.Event?) {
        var machine = Machine()
        guard let text else { return (machine, nil) }
        let isStarted = machine.startRequest(
            method: method, keepsAlive: keepsAlive, isComplete: isComplete)
        #expect(isStarted)
        return feed(machine, text)
    }

    private func feed(
        _ machine: Machine, _ text: String
    ) -> (machine: Machine, last: Machine.Event?) {
        var machine = machine
        var last: Machine.Event?
        let bytes = Array(text.utf8)
        var consumed = 0
        while true {
            let step = bytes[consumed...].withUnsafeBytes { machine.receive($0, context) }
            if step.event == .needMore { break }
            last = step.event
            if case .failed = step.event { break }
            consumed += step.consumed
        }
        return (machine, last)
    }

    private let context = HTTPCodecContext()
    private let counted = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"

    private func reason(_ event: Machine.Event?) -> HTTPCodecError.Reason? {
        if case .failed(let error)? = event { error.reason } else { nil }
    }

    @Test("a request is taken where no other is under way, and never again after a failure")
    func requests() {
        for (text, isTaken) in [
            (nil, true), ("", false), ("HTTP/1.1 2", false), (counted, false),
            (counted + "o", false), (counted + "ok", true), ("SSH-2.0\r\n", false),
            ("HTTP/1.0 204 No Content\r\n\r\n", false),
            ("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", false),
        ] as [(String?, Bool)] {
            var found = machine(after: text).machine
            #expect(found.isReusable == isTaken, "\(text ?? "nothing")")
            let isAccepted = found.startRequest(method: .get)
            #expect(isAccepted == isTaken)
        }
        var new = Machine()
        let isTunnel = new.startRequest(method: .connect)
        #expect(!isTunnel && new.isReusable)
        let closing = machine(after: counted + "ok", keepsAlive: false).machine
        #expect(!closing.isReusable)
        // The answer came before the request was whole: the server reads no more of it.
        var early = machine(after: counted + "ok", isComplete: false).machine
        early.finishRequest()
        #expect(!early.isReusable && !early.isWaiting)
        var late = machine(after: counted, isComplete: false).machine
        late.finishRequest()
        late = feed(late, "ok").machine
        #expect(late.isReusable)
    }

    @Test("bytes that nobody asked for fail, as does what no client may be sent")
    func unexpected() {
        #expect(reason(feed(Machine(), "H").last) == .unexpectedBytes)
        let kept = machine(after: counted + "ok").machine
        #expect(reason(feed(kept, "H").last) == .unexpectedBytes)
        #expect(!feed(kept, "H").machine.isReusable)
        let switched = machine(after: "HTTP/1.1 101 Switching Protocols\r\n\r\n")
        #expect(reason(switched.last) == .upgradeUnsupported)
        let early = "HTTP/1.1 103 Early Hints\r\n\r\n"
        let most = HTTPLimits.maximumInformationalResponses
        let many = String(repeating: early, count: most)
        #expect(machine(after: many + counted + "ok").last == .endOfResponse)
        #expect(reason(machine(after: many + early).last) == .tooManyInformationalResponses)
        let head = machine(after: counted, method: .head)
        #expect(head.machine.isReusable, "no content follows, whatever its length says")
    }

    @Test("an end is one of the response only where nothing else could tell it")
    func ends() {
        for (text, expected) in [
            (nil, nil), (counted + "ok", nil), ("SSH-2.0\r\n", nil), ("", "truncated"),
            ("HTTP/1.1 200", "truncated"), (counted + "o", "truncated"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", "truncated"),
            ("HTTP/1.1 200 OK\r\n\r\n", "whole"), ("HTTP/1.1 200 OK\r\n\r\nabc", "whole"),
        ] as [(String?, String?)] {
            var found = machine(after: text).machine
            let end = found.receiveEnd()
            let word =
                end == .endOfResponse ? "whole" : reason(end) == .truncated ? "truncated" : nil
            #expect(word == expected, "\(text ?? "nothing")")
            #expect(!found.isReusable && !found.isWaiting)
            let again = found.receiveEnd()
            #expect(again == nil)
        }
    }
}
