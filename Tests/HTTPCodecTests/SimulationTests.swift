import HTTPCodec
import Pacing
import Testing

/// Client machine against server machine over a pipe that cuts bytes anywhere.
@Suite struct SimulationTests {
    @Test("what one machine writes the other reads, over many requests on one connection")
    func conversation() throws {
        var random = SeededRandom(seed: 42)
        var pair = Pair()
        for round in 0..<500 {
            let exchange = Exchange(round: round, &random)
            let (request, response) = try pair.run(exchange, &random)
            #expect(request == exchange.requestBody, "round \(round)")
            #expect(response == (exchange.isHead ? [] : exchange.responseBody), "round \(round)")
            if request != exchange.requestBody { return }
        }
        #expect(pair.client.isReusable)
        #expect(pair.server.isIdle)
    }
}

private struct Exchange {
    var isHead: Bool
    var requestBody: [UInt8]
    var requestIsChunked: Bool
    var responseBody: [UInt8]
    var responseIsChunked: Bool
    var sendsInterim: Bool

    init(round: Int, _ random: inout SeededRandom) {
        isHead = Int.random(in: 0..<8, using: &random) == 0
        requestBody = Self.content(&random)
        requestIsChunked = Bool.random(using: &random)
        responseBody = Self.content(&random)
        responseIsChunked = Bool.random(using: &random)
        sendsInterim = Bool.random(using: &random)
    }

    static func content(_ random: inout SeededRandom) -> [UInt8] {
        let count = [0, 1, 17, 300][Int.random(in: 0..<4, using: &random)]
        return (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
    }
}

private struct Pair {
    var client = ClientConnectionMachine()
    var server = ServerMessageMachine()
    let context = HTTPCodecContext()
    var toServer: [UInt8] = []
    var toClient: [UInt8] = []

    mutating func run(
        _ exchange: Exchange, _ random: inout SeededRandom
    ) throws -> (request: [UInt8], response: [UInt8]) {
        let started = client.startRequest(method: exchange.isHead ? .head : .post)
        #expect(started)
        var wire = try Self.requestBytes(exchange)
        var received: [UInt8] = []
        var answered = false
        while !answered {
            guard !wire.isEmpty else { break }
            let count = min(wire.count, Int.random(in: 1...40, using: &random))
            toServer += wire[..<count]
            wire.removeFirst(count)
            answered = serve(exchange, &received)
        }
        #expect(answered && wire.isEmpty, "the request was not understood")

        var response: [UInt8] = []
        var isDone = false
        var sent = toClient
        toClient = []
        var kept: [UInt8] = []
        while !isDone, !sent.isEmpty {
            let count = min(sent.count, Int.random(in: 1...40, using: &random))
            kept += sent[..<count]
            sent.removeFirst(count)
            isDone = read(&kept, &response)
        }
        #expect(isDone && sent.isEmpty && kept.isEmpty, "the response was not understood")
        return (received, response)
    }

    static func requestBytes(_ exchange: Exchange) throws -> [UInt8] {
        let writer = HeadWriter()
        try writer.startRequest(method: exchange.isHead ? "HEAD" : "POST", target: "/x")
        writer.field(literal: "Host", "a")
        if exchange.requestIsChunked {
            writer.field(literal: "Transfer-Encoding", "chunked")
        } else {
            writer.field(literal: "Content-Length", Int64(exchange.requestBody.count))
        }
        writer.endHead()
        exchange.requestBody.withUnsafeBytes { body in
            if !exchange.requestIsChunked { return writer.content(body) }
            writer.chunk(UnsafeRawBufferPointer(rebasing: body.prefix(7)))
            writer.chunk(UnsafeRawBufferPointer(rebasing: body.dropFirst(7)))
            writer.lastChunk()
        }
        return writer.array
    }

    /// Reads what is there; true once the request is complete and answered.
    mutating func serve(_ exchange: Exchange, _ received: inout [UInt8]) -> Bool {
        var consumed = 0
        defer { toServer.removeFirst(consumed) }
        while true {
            let step = toServer.withUnsafeBytes { bytes in
                let rest = UnsafeRawBufferPointer(rebasing: bytes[consumed...])
                let step = server.receive(rest, context)
                if case .body(let range) = step.event { received += rest[range] }
                return step
            }
            consumed += step.consumed
            switch step.event {
            case .needMore: return false
            case .awaitingResponse:
                respond(exchange)
                return true
            case .failed(let error):
                Issue.record("\(error)")
                return true
            case .request, .body, .trailers, .endOfRequest, .drained, .closed: continue
            }
        }
    }

    mutating func respond(_ exchange: Exchange) {
        let body = exchange.responseBody
        let content: ResponseContent =
            exchange.responseIsChunked ? .unknown : .length(Int64(body.count))
        guard let plan = server.startResponse(status: 200, content: content, context) else {
            return
        }
        let writer = HeadWriter()
        if exchange.sendsInterim { writer.continueResponse() }
        writer.startResponse(status: 200)
        writer.fields(of: plan)
        writer.endHead()
        if plan.sendsContent {
            let fits = server.sendContent(body.count)
            #expect(fits)
            body.withUnsafeBytes { bytes in
                if plan.framing == .chunked {
                    writer.chunk(bytes)
                    writer.lastChunk()
                } else {
                    writer.content(bytes)
                }
            }
        }
        let after = server.finishResponse()
        #expect(after == .keep)
        toClient += writer.bytes
    }

    mutating func read(_ kept: inout [UInt8], _ response: inout [UInt8]) -> Bool {
        var consumed = 0
        defer { kept.removeFirst(consumed) }
        while true {
            let step = kept.withUnsafeBytes { bytes in
                let rest = UnsafeRawBufferPointer(rebasing: bytes[consumed...])
                let step = client.receive(rest, context)
                if case .body(let range) = step.event { response += rest[range] }
                return step
            }
            consumed += step.consumed
            switch step.event {
            case .needMore: return false
            case .response(let head) where head.framing == .none: return true
            case .endOfResponse: return true
            case .failed(let error):
                Issue.record("\(error)")
                return true
            case .informational, .response, .body, .trailers: continue
            }
        }
    }
}
