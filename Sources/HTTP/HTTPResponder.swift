import HTTPCodec
import HTTPTypes
import Reactor

/// The right to answer one request, now or later, once.
///
/// Copies are the same right: the first answer counts, further ones return false and do nothing.
/// So does an answer to a peer that has gone away; ``whenPeerEnds(_:)`` tells when that happens.
/// A request that is never answered keeps its connection, so keep the responder or answer. A kept
/// one holds the server: let go of it when it is used.
public struct HTTPResponder {
    let exchange: ServerExchange
    let generation: UInt64

    /// Whether an answer would still go out: neither given yet, nor is the peer gone.
    public var isOpen: Bool {
        exchange.generation == generation && exchange.connection != nil && exchange.plan == nil
    }

    /// The loop on which the answer has to be given.
    public var loop: EventLoop { exchange.server.loop }

    // MARK: Whole responses

    /// Answers with content in bytes. `contentType` is left out when nil or without content.
    ///
    /// - Returns: whether the answer counts; see ``isOpen``.
    @discardableResult
    public func respond(
        status: Int, contentType: StaticString? = nil, body: UnsafeRawBufferPointer
    ) -> Bool {
        send(status: status, body) { (writer: HeadWriter) in
            if let contentType, !body.isEmpty {
                writer.field(literal: "Content-Type", contentType)
            }
        }
    }

    /// Answers with content in an array. A large one is not copied, but held until it is sent.
    @discardableResult
    public func respond(
        status: Int, contentType: StaticString? = nil, body: [UInt8] = []
    ) -> Bool {
        if body.count > ServerConnection.copiedBytes {
            return respond(status: status, contentType: contentType, pieces: [body])
        }
        return body.withUnsafeBytes {
            respond(status: status, contentType: contentType, body: $0)
        }
    }

    /// Answers with content that lies in pieces, which are held and sent as the peer takes them.
    @discardableResult
    public func respond(
        status: Int, contentType: StaticString? = nil, pieces: [[UInt8]]
    ) -> Bool {
        var iterator = pieces.makeIterator()
        let length = pieces.reduce(0) { $0 + Int64($1.count) }
        return send(status, contentType, .length(length)) { iterator.next() }
    }

    /// Answers with content that is made while it is sent: so much of it as the peer takes, and not
    /// more. More than one piece is chunked.
    ///
    /// - Parameter next: makes the next piece; nil after the last one. Dropped with the peer.
    @discardableResult
    public func respond(
        status: Int, contentType: StaticString? = nil, next: @escaping () -> [UInt8]?
    ) -> Bool {
        let first = next() ?? []
        guard let second = next() else {
            return respond(status: status, contentType: contentType, body: first)
        }
        var ahead = [second, first]
        return send(status, contentType, .unknown) { ahead.popLast() ?? next() }
    }

    private func send(
        _ status: Int, _ contentType: StaticString?, _ content: ResponseContent,
        _ next: @escaping () -> [UInt8]?
    ) -> Bool {
        guard let connection = exchange.connection else { return false }
        let plan = begin(connection, status: status, content: content) { (writer: HeadWriter) in
            if let contentType { writer.field(literal: "Content-Type", contentType) }
        }
        guard plan != nil else { return false }
        let writer = HTTPResponseWriter(exchange: exchange, generation: generation)
        // To HEAD only the head is sent: nothing need be made for it.
        if plan?.sendsContent == false {
            writer.finish()
        } else {
            ContentPump(writer, next: next).run()
        }
        return true
    }

    /// Answers with text, as `text/plain; charset=utf-8` unless said otherwise.
    @discardableResult
    public func respond(
        status: Int, contentType: StaticString = "text/plain; charset=utf-8", body: String
    ) -> Bool {
        var body = body
        return body.withUTF8 {
            respond(status: status, contentType: contentType, body: UnsafeRawBufferPointer($0))
        }
    }

    /// Answers with text that is part of the program.
    @discardableResult
    public func respond(
        status: Int, contentType: StaticString = "text/plain; charset=utf-8",
        literal body: StaticString
    ) -> Bool {
        respond(
            status: status, contentType: contentType,
            body: UnsafeRawBufferPointer(start: body.utf8Start, count: body.utf8CodeUnitCount))
    }

    /// Answers with the types of swift-http-types. Content-Length, Transfer-Encoding and Connection
    /// among the fields are replaced by what the framing needs; `Connection: close` is heeded.
    @discardableResult
    public func respond(_ response: HTTPResponse, body: [UInt8] = []) -> Bool {
        heedConnection(response)
        return body.withUnsafeBytes { body in
            send(status: response.status.code, body) {
                (writer: HeadWriter) throws(HTTPCodecError) in
                try writer.fields(response.headerFields)
            }
        }
    }

    /// Answers with fields written straight into the head; nothing is built for them.
    ///
    /// - Parameter fields: adds fields to the head after its status line, but none that frames the
    ///   content. Where it throws, the answer is a 500.
    @discardableResult
    public func respond(
        status: Int, body: UnsafeRawBufferPointer,
        fields: (HeadWriter) throws(HTTPCodecError) -> Void
    ) -> Bool {
        send(status: status, body, fields)
    }

    /// Who asked; nil when the peer is gone.
    public var peerAddress: SocketAddress? {
        exchange.generation == generation ? exchange.connection?.peerAddress : nil
    }

    /// 405 with the methods that the resource has (RFC 9110 §15.5.6).
    @discardableResult
    public func respondMethodNotAllowed(allow: String) -> Bool {
        let text: StaticString = "method not allowed\n"
        let body = UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        return send(status: 405, body) { (writer: HeadWriter) throws(HTTPCodecError) in
            try writer.field("Allow", allow)
            writer.field(literal: "Content-Type", "text/plain; charset=utf-8")
        }
    }

    /// 503, for what may be tried again after so many seconds (RFC 9110 §10.2.3).
    @discardableResult
    public func respondUnavailable(retryAfter seconds: Int64, _ text: StaticString) -> Bool {
        let body = UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        return send(status: 503, body) { (writer: HeadWriter) in
            writer.field(literal: "Retry-After", seconds)
            writer.field(literal: "Content-Type", "text/plain; charset=utf-8")
        }
    }

    // MARK: Content in pieces

    /// Starts an answer whose content follows in pieces.
    ///
    /// - Parameter contentLength: in bytes; without it the content is chunked.
    /// - Returns: nil where an answer does not count any more; see ``isOpen``.
    public func start(_ response: HTTPResponse, contentLength: Int64? = nil) -> HTTPResponseWriter?
    {
        heedConnection(response)
        let content: ResponseContent = contentLength.map { .length($0) } ?? .unknown
        guard let connection = exchange.connection else { return nil }
        let plan = begin(connection, status: response.status.code, content: content) {
            (writer: HeadWriter) throws(HTTPCodecError) in
            try writer.fields(response.headerFields)
        }
        guard plan != nil else { return nil }
        connection.flushUnlessProcessing()
        return HTTPResponseWriter(exchange: exchange, generation: generation)
    }

    // MARK: The peer and its content

    /// Calls when the peer closes its side, or the connection is lost, before the answer is
    /// complete. The reactor sees it at once, not only when it writes.
    public func whenPeerEnds(_ body: @escaping (HTTPPeerEnd) -> Void) {
        guard exchange.generation == generation else { return }
        exchange.hasExtras = true
        exchange.onPeerEnd = body
    }

    /// Leaves further content of the request with the peer until ``resumeBody()``.
    public func pauseBody() {
        guard exchange.generation == generation else { return }
        exchange.hasExtras = true
        exchange.isBodyPaused = true
    }

    /// Goes on with the content after ``pauseBody()``.
    public func resumeBody() {
        guard exchange.generation == generation, exchange.isBodyPaused else { return }
        exchange.isBodyPaused = false
        exchange.connection?.resumeLater()
    }

    // MARK: Inside the room

    typealias FieldsWriter = (HeadWriter) throws(HTTPCodecError) -> Void

    /// Writes a whole response.
    @inline(__always)
    func send(
        status: Int, _ body: UnsafeRawBufferPointer, _ writeFields: FieldsWriter
    ) -> Bool {
        let length = ResponseContent.length(Int64(body.count))
        guard let connection = exchange.connection,
            let plan = begin(connection, status: status, content: length, writeFields)
        else { return false }
        if plan.sendsContent {
            if exchange.messages.pointee.sendContent(body.count) {
                if body.count <= ServerConnection.copiedBytes {
                    exchange.server.output.content(body)
                } else {
                    connection.write(body, isChunk: false)
                }
            }
        }
        connection.finishResponse(exchange)
        return true
    }

    /// Writes the head. Fields that cannot be written make it a 500: half an answer is none.
    @inline(__always)
    private func begin(
        _ connection: ServerConnection, status: Int, content: ResponseContent,
        _ writeFields: FieldsWriter
    ) -> ResponsePlan? {
        let server = connection.server
        guard exchange.generation == generation else { return nil }
        if connection.machine.isOld(now: server.loop.now) || connection.isLastOfDrain(exchange) {
            exchange.messages.pointee.stopAfterCurrent()
        }
        guard
            let plan = exchange.messages.pointee.startResponse(
                status: status, content: content, server.context)
        else { return nil }
        exchange.plan = plan
        server.claimOutput(for: connection)
        let output = server.output
        let mark = output.count
        output.startResponse(status: status)
        do throws(HTTPCodecError) {
            try writeFields(output)
        } catch {
            output.truncate(to: mark)
            output.startResponse(status: 500)
        }
        if server.hasDate, let date = server.currentDate() { try? output.field("Date", date) }
        output.fields(of: plan)
        output.endHead()
        return plan
    }

    private func heedConnection(_ response: HTTPResponse) {
        guard exchange.generation == generation, !response.headerFields.isEmpty,
            let options = response.headerFields[.connection],
            options.lowercased().split(separator: ",").contains(where: {
                $0.trimmingPrefix(" ") == "close"
            })
        else { return }
        exchange.messages.pointee.stopAfterCurrent()
    }
}

@available(*, unavailable)
extension HTTPResponder: Sendable {}

/// Sends the content of a response in pieces.
public struct HTTPResponseWriter {
    let exchange: ServerExchange
    let generation: UInt64

    /// What became of a piece of content.
    public enum Outcome: Equatable, Sendable {
        /// Go on.
        case flowing
        /// Taken, but the peer is slow: go on when ``whenWritable(_:)`` calls.
        case backpressured
        /// Dropped: the peer is gone, the response is finished, or it was more than its length.
        case gone
    }

    /// Whether what is written still goes anywhere.
    public var isOpen: Bool { exchange.generation == generation && exchange.connection != nil }

    /// Sends one piece. Content of a response to HEAD is dropped silently.
    @discardableResult
    public func write(_ bytes: UnsafeRawBufferPointer) -> Outcome {
        guard exchange.generation == generation, let connection = exchange.connection,
            let plan = exchange.plan
        else { return .gone }
        guard plan.sendsContent else { return .flowing }
        guard exchange.messages.pointee.sendContent(bytes.count) else { return .gone }
        exchange.server.claimOutput(for: connection)
        connection.write(bytes, isChunk: plan.framing == .chunked)
        connection.flushUnlessProcessing()
        return exchange.isBackpressured ? .backpressured : .flowing
    }

    /// Sends one piece from an array. Content of a response to HEAD is dropped silently.
    ///
    /// - Returns: whether to go on; a piece that would exceed the length is dropped whole.
    @discardableResult
    public func write(_ bytes: [UInt8]) -> Outcome {
        bytes.withUnsafeBytes { write($0) }
    }

    /// Calls once when the queue has drained after `backpressured`.
    public func whenWritable(_ body: @escaping () -> Void) {
        guard exchange.generation == generation else { return }
        exchange.hasExtras = true
        exchange.onWritable = body
    }

    /// Ends the response. One that is shorter than its Content-Length resets the connection, so
    /// that the peer does not take it for a whole one.
    public func finish() {
        guard exchange.generation == generation, let connection = exchange.connection,
            let plan = exchange.plan
        else { return }
        exchange.server.claimOutput(for: connection)
        if plan.framing == .chunked, plan.sendsContent { exchange.server.output.lastChunk() }
        connection.finishResponse(exchange)
    }

    /// Gives the response up with a reset: the peer sees that it is not complete.
    public func abort() {
        guard exchange.generation == generation else { return }
        exchange.connection?.abort()
    }
}

@available(*, unavailable)
extension HTTPResponseWriter: Sendable {}
