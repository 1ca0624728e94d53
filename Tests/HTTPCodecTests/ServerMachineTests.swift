import HTTPCodec
import Testing

@Suite struct ServerMachineTests {
    private let context = HTTPCodecContext(
        limits: HTTPLimits(maximumBodyBytes: 1_000, maximumDrainBytes: 20))
    private let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    private let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"

    @Test("pipelined bytes wait untouched until the response before them is finished")
    func pipelining() {
        let m = Harness()
        let first = m.feed(get + get, context)
        #expect(first.events == ["request", "awaitingResponse"])
        #expect(first.consumed == get.utf8.count)
        _ = m.startResponse(status: 200, content: .length(0), context)
        #expect(m.finishResponse() == .keep)
        #expect(m.feed(get, context).events == ["request", "awaitingResponse"])
    }

    @Test("each phase of a connection has its deadline")
    func deadlines() {
        var m = Harness()
        #expect(m.deadline == .head, "a new connection owes a head")
        _ = m.feed("GET / HT", context)
        #expect(m.deadline == .head)
        #expect(!m.isIdle)
        m = Harness()
        _ = m.feed(post + "123", context)
        #expect(m.deadline == .body)
        _ = m.feed("4567890", context)
        #expect(m.deadline == .none, "the next move is ours")
        _ = m.startResponse(status: 200, content: .length(0), context)
        _ = m.finishResponse()
        #expect(m.deadline == .idle)
        #expect(m.isIdle)
    }

    @Test("a response is started once and finished once")
    func once() {
        let m = Harness()
        #expect(m.startResponse(status: 200, content: .unknown, context) == nil, "no request yet")
        _ = m.feed(get, context)
        #expect(m.startResponse(status: 200, content: .unknown, context) != nil)
        #expect(m.startResponse(status: 200, content: .unknown, context) == nil)
        #expect(m.finishResponse() == .keep)
        #expect(m.finishResponse() == .abort)
    }

    @Test(
        "the plan follows from method, version and status",
        arguments: [
            ("GET / HTTP/1.1", 200, true, "length 7 true omitted"),
            ("GET / HTTP/1.1", 200, false, "chunked true omitted"),
            ("HEAD / HTTP/1.1", 200, true, "length 7 false omitted"),
            ("HEAD / HTTP/1.1", 200, false, "chunked false omitted"),
            ("GET / HTTP/1.1", 204, true, "noContent false omitted"),
            ("GET / HTTP/1.1", 304, false, "noContent false omitted"),
            ("GET / HTTP/1.0", 200, true, "length 7 true close"),
            ("GET / HTTP/1.0", 200, false, "untilClose true close"),
            ("GET / HTTP/1.0\r\nConnection: keep-alive", 200, true, "length 7 true keepAlive"),
            ("GET / HTTP/1.0\r\nConnection: keep-alive", 200, false, "untilClose true close"),
            ("GET / HTTP/1.1\r\nConnection: close", 200, true, "length 7 true close"),
        ])
    func plan(start: String, status: Int, isKnown: Bool, expected: String) throws {
        let m = Harness()
        _ = m.feed(start + "\r\nHost: a\r\n\r\n", context)
        let content: ResponseContent = isKnown ? .length(7) : .unknown
        let plan = try #require(m.startResponse(status: status, content: content, context))
        let framing =
            switch plan.framing {
            case .length(let length): "length \(length)"
            default: "\(plan.framing)"
            }
        #expect("\(framing) \(plan.sendsContent) \(plan.connection)" == expected)
    }

    @Test("a response that is not as long as it said closes, and more than it said is refused")
    func contentLength() {
        let m = Harness()
        _ = m.feed(get, context)
        _ = m.startResponse(status: 200, content: .length(5), context)
        #expect(m.sendContent(4))
        #expect(!m.sendContent(2))
        #expect(m.finishResponse() == .abort)
        #expect(m.feed(get, context).events == ["closed"])
    }

    @Test("an early response keeps the connection if little is left to read")
    func drains() {
        let m = Harness()
        #expect(m.feed(post + "123", context).events == ["request", "body", "needMore"])
        let plan = m.startResponse(status: 403, content: .length(0), context)
        #expect(plan?.connection == .omitted)
        #expect(m.finishResponse() == .keep)
        #expect(m.deadline == .body)
        let rest = m.feed("4567890" + get, context)
        #expect(rest.events == ["drained", "request", "awaitingResponse"])
    }

    @Test("an early response announces the close if too much is left to read")
    func tooMuchLeft() {
        let m = Harness()
        let long = post.replacing("10", with: "21")
        #expect(m.feed(long, context).events == ["request", "needMore"])
        let plan = m.startResponse(status: 403, content: .length(0), context)
        #expect(plan?.connection == .close)
        #expect(m.finishResponse() == .closeLingering)
    }

    @Test("a chunked request that does not end is not drained for ever")
    func endlessDrain() {
        let m = Harness()
        let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        _ = m.feed(chunked, context)
        _ = m.startResponse(status: 403, content: .length(0), context)
        #expect(m.finishResponse() == .keep)
        #expect(m.feed("a\r\n0123456789\r\n", context).events == ["needMore"])
        #expect(m.feed("b\r\n0123456789X\r\n", context).events == ["closed"])
        #expect(m.isClosed)
    }

    @Test("100 (Continue) is owed once, and not after content or a response")
    func continues() {
        let head = post.replacing("\r\n\r\n", with: "\r\nExpect: 100-continue\r\n\r\n")
        var m = Harness()
        _ = m.feed(head, context)
        #expect(m.takeContinue())
        #expect(!m.takeContinue())
        m = Harness()
        _ = m.feed(head + "1", context)
        #expect(!m.takeContinue(), "the client did not wait")
        m = Harness()
        _ = m.feed(head, context)
        let plan = m.startResponse(status: 417, content: .length(0), context)
        #expect(!m.takeContinue())
        #expect(plan?.connection == .close, "the content may come or may not")
    }

    @Test("stopping lets the request under way finish and says close")
    func stops() {
        let m = Harness()
        _ = m.feed(get, context)
        m.stopAfterCurrent()
        let plan = m.startResponse(status: 200, content: .length(0), context)
        #expect(plan?.connection == .close)
        #expect(m.finishResponse() == .close)
    }

    @Test("a half-closed peer still gets its answer")
    func halfClosed() {
        let m = Harness()
        _ = m.feed(get, context)
        #expect(m.receiveEnd() == .halfClosed)
        let plan = m.startResponse(status: 200, content: .length(0), context)
        #expect(plan?.connection == .close)
        #expect(m.finishResponse() == .close)
        let idle = Harness()
        #expect(idle.receiveEnd() == .clean)
    }
}

/// A machine behind a reference, so that expectations can call what changes it.
private final class Harness {
    private var machine = ServerMessageMachine()

    var deadline: ConnectionDeadline { machine.deadline }
    var isIdle: Bool { machine.isIdle }
    var isClosed: Bool { machine.isClosed }

    func takeContinue() -> Bool { machine.takeContinue() }
    func stopAfterCurrent() { machine.stopAfterCurrent() }
    func sendContent(_ count: Int) -> Bool { machine.sendContent(count) }
    func finishResponse() -> AfterResponse { machine.finishResponse() }
    func receiveEnd() -> ServerMessageMachine.EndOfInput { machine.receiveEnd() }

    func startResponse(
        status: Int, content: ResponseContent, _ context: HTTPCodecContext
    ) -> ResponsePlan? {
        machine.startResponse(status: status, content: content, context)
    }

    /// Feeds everything and returns what came of it, without looking into payloads.
    func feed(_ text: String, _ context: HTTPCodecContext) -> (events: [String], consumed: Int) {
        var events: [String] = []
        var consumed = 0
        Array(text.utf8).withUnsafeBytes { bytes in
            while true {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[consumed...])
                let step = machine.receive(rest, context)
                consumed += step.consumed
                events.append("\(step.event)".prefix { $0 != "(" }.description)
                switch step.event {
                case .needMore, .awaitingResponse, .failed, .closed: return
                case .request, .body, .trailers, .endOfRequest, .drained: continue
                }
            }
        }
        return (events, consumed)
    }
}
