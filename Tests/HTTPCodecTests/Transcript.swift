import HTTPCodec

/// Feeds a machine with pieces of a connection and writes down what it makes of them.
///
/// Every call gets a heap block that holds exactly the bytes that a real adapter would have kept
/// and received, so that the address sanitizer sees a read past the end.
enum Transcript {
    static func requests(
        _ pieces: [[UInt8]], closes: Bool, limits: HTTPLimits, fields showsFields: Bool
    ) -> [String] {
        var log = Log()
        var machine = ServerMessageMachine()
        let context = HTTPCodecContext(limits: limits)
        var kept: [UInt8] = []
        for piece in pieces where !log.isOver {
            kept += piece
            exactly(kept) { bytes in
                let consumed = serve(&machine, bytes, context, showsFields, &log)
                kept.removeFirst(consumed)
            }
        }
        if closes, !log.isOver {
            switch machine.receiveEnd() {
            case .clean: log.add("closed")
            case .halfClosed: log.add("half-closed")
            case .truncated(let error): log.fail(error)
            }
        } else if !log.isOver {
            log.add("waits \(machine.deadline)")
        }
        return log.lines
    }

    /// Answers every request as soon as it is complete.
    private static func serve(
        _ machine: inout ServerMessageMachine, _ bytes: UnsafeRawBufferPointer,
        _ context: HTTPCodecContext, _ showsFields: Bool, _ log: inout Log
    ) -> Int {
        var consumed = 0
        while true {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[consumed...])
            let step = machine.receive(rest, context)
            consumed += step.consumed
            switch step.event {
            case .needMore:
                return consumed
            case .request:
                let view = context.request(in: rest)
                let head = view.head
                log.add(
                    "request \(view.methodString) \(view.target) 1.\(head.minorVersion) "
                        + "\(head.keepsAlive ? "keep" : "close") \(name(head.framing))"
                        + (head.expectsContinue ? " continue" : ""))
                if showsFields { log.add(view.fields) }
            case .body(let range):
                log.add(body: rest[range])
            case .trailers(let range, let count):
                let section = UnsafeRawBufferPointer(rebasing: rest[range])
                log.add(context.fields(in: section, count: count), as: "trailer")
            case .endOfRequest:
                log.add("end")
            case .drained:
                log.add("drained")
            case .awaitingResponse:
                _ = machine.startResponse(status: 200, content: .length(0), context)
                if machine.finishResponse() != .keep {
                    log.add("answered, closes")
                    log.isOver = true
                    return consumed
                }
                if consumed == bytes.count { return consumed }
            case .failed(let error):
                log.fail(error)
                return consumed
            case .closed:
                return consumed
            }
        }
    }

    static func responses(
        _ pieces: [[UInt8]], to method: RequestMethod, closes: Bool, limits: HTTPLimits,
        fields showsFields: Bool
    ) -> [String] {
        var log = Log()
        var machine = ClientConnectionMachine()
        let context = HTTPCodecContext(limits: limits)
        var kept: [UInt8] = []
        guard machine.startRequest(method: method) else { return ["no request"] }
        for piece in pieces where !log.isOver {
            kept += piece
            exactly(kept) { bytes in
                let consumed = read(&machine, bytes, context, showsFields, &log)
                kept.removeFirst(consumed)
            }
        }
        if closes, !log.isOver {
            switch machine.receiveEnd() {
            case .endOfResponse: log.add("end")
            case .failed(let error): log.fail(error)
            default: log.add("closed")
            }
        } else if !log.isOver {
            log.add(machine.isReusable ? "reusable" : "waits \(machine.deadline)")
        }
        return log.lines
    }

    private static func read(
        _ machine: inout ClientConnectionMachine, _ bytes: UnsafeRawBufferPointer,
        _ context: HTTPCodecContext, _ showsFields: Bool, _ log: inout Log
    ) -> Int {
        var consumed = 0
        while true {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[consumed...])
            let step = machine.receive(rest, context)
            consumed += step.consumed
            switch step.event {
            case .needMore:
                return consumed
            case .informational(let head):
                log.add("informational \(head.status)")
            case .response(let head):
                let view = context.response(in: rest)
                let reason = String(decoding: view.reasonBytes, as: UTF8.self)
                log.add(
                    "response \(head.status) 1.\(head.minorVersion) "
                        + "\(head.keepsAlive ? "keep" : "close") \(name(head.framing))"
                        + (reason.isEmpty ? "" : " (\(reason))"))
                if showsFields { log.add(view.fields) }
            case .body(let range):
                log.add(body: rest[range])
            case .trailers(let range, let count):
                let section = UnsafeRawBufferPointer(rebasing: rest[range])
                log.add(context.fields(in: section, count: count), as: "trailer")
            case .endOfResponse:
                log.add("end")
            case .failed(let error):
                log.fail(error)
                return consumed
            }
        }
    }

    private static func name(_ framing: BodyFraming) -> String {
        switch framing {
        case .none: "none"
        case .contentLength(let length): "length=\(length)"
        case .chunked: "chunked"
        case .untilClose: "until-close"
        }
    }

    private static func exactly(_ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) -> Void) {
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        defer { block.deallocate() }
        block.copyBytes(from: bytes)
        body(UnsafeRawBufferPointer(block))
    }

    struct Log {
        var lines: [String] = []
        var isOver = false
        private var content: [UInt8] = []

        mutating func add(_ line: String) {
            flush()
            lines.append(line)
        }

        /// Slices are joined: how content is cut up follows the reads, not the message.
        mutating func add(body bytes: Slice<UnsafeRawBufferPointer>) { content += bytes }

        mutating func add(_ fields: FieldsView, as word: String = "field") {
            for index in 0..<fields.count {
                let name = String(decoding: fields.name(index), as: UTF8.self)
                let value = String(decoding: fields.value(index), as: UTF8.self)
                add("\(word) \(name): \(value)")
            }
        }

        mutating func fail(_ error: HTTPCodecError) {
            add("error \(error.reason.rawValue) \(error.statusHint) @\(error.offset)")
            isOver = true
        }

        private mutating func flush() {
            guard !content.isEmpty else { return }
            // Byte for byte: in Swift CR LF is one character.
            var text = "body "
            for scalar in String(decoding: content, as: UTF8.self).unicodeScalars {
                switch scalar {
                case "\r": text += "\\r"
                case "\n": text += "\\n"
                default: text.unicodeScalars.append(scalar)
                }
            }
            lines.append(text)
            content = []
        }
    }
}
