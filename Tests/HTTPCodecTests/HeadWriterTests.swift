import HTTPCodec
import Testing

@Suite struct HeadWriterTests {
    @Test("a response head is written as RFC 9112 has it")
    func response() throws {
        let writer = HeadWriter()
        writer.startResponse(status: 404)
        try writer.field("X-Name", "some value")
        writer.field(literal: "Server", "sonde")
        writer.fields(
            of: ResponsePlan(framing: .length(1234), connection: .close, sendsContent: true))
        writer.endHead()
        #expect(
            writer.text
                == "HTTP/1.1 404 Not Found\r\nX-Name: some value\r\nServer: sonde\r\n"
                + "Content-Length: 1234\r\nConnection: close\r\n\r\n")
    }

    @Test("a request head is written as RFC 9112 has it, and its parser agrees")
    func request() throws {
        let writer = HeadWriter()
        try writer.startRequest(method: "POST", target: "/a?b=c")
        writer.field(literal: "Host", "example.com")
        writer.field(literal: "Content-Length", 7)
        writer.endHead()
        let context = HTTPCodecContext()
        var parser = HeadParser()
        let outcome = parser.parseRequest(writer.bytes, context)
        #expect(outcome == .complete)
        let head = context.requestHead
        #expect(head.method == .post)
        #expect(head.framing == .contentLength(7))
        #expect(Int(head.byteCount) == writer.bytes.count)
    }

    @Test(
        "what could end a line is refused and nothing is written",
        arguments: ["a\r\nX: y", "a\nb", "a\rb", "a\0b", "a\u{7f}", "a\u{1}"])
    func injection(text: String) {
        let writer = HeadWriter()
        #expect(throws: HTTPCodecError.self) { try writer.field("X", text) }
        #expect(throws: HTTPCodecError.self) { try writer.field(text, "x") }
        #expect(throws: HTTPCodecError.self) { try writer.startRequest(method: text, target: "/") }
        #expect(throws: HTTPCodecError.self) {
            try writer.startRequest(method: "GET", target: text)
        }
        Array(text.utf8).withUnsafeBytes { bytes in
            _ = #expect(throws: HTTPCodecError.self) { try writer.field(literal: "X", bytes) }
        }
        #expect(writer.bytes.isEmpty)
    }

    @Test(
        "names and targets that are none are refused",
        arguments: ["", "a b", "a:b", "café", "a\tb"])
    func names(text: String) {
        let writer = HeadWriter()
        #expect(throws: HTTPCodecError.self) { try writer.field(text, "x") }
        #expect(throws: HTTPCodecError.self) { try writer.startRequest(method: text, target: "/") }
        if text != "a:b" {
            #expect(throws: HTTPCodecError.self) {
                try writer.startRequest(method: "GET", target: text)
            }
        }
        #expect(writer.bytes.isEmpty)
    }

    @Test("values may carry text beyond ASCII")
    func beyondASCII() throws {
        let writer = HeadWriter()
        try writer.field("X", "café\tau lait")
        #expect(writer.text == "X: café\tau lait\r\n")
    }

    @Test("chunk sizes come out in hexadecimal", arguments: [1, 9, 15, 16, 255, 256, 4096, 65_535])
    func chunks(count: Int) {
        let writer = HeadWriter()
        let content = [UInt8](repeating: 0x61, count: count)
        content.withUnsafeBytes { writer.chunk($0) }
        let expected = String(count, radix: 16) + "\r\n" + String(decoding: content, as: UTF8.self)
        #expect(writer.text == expected + "\r\n")
    }

    @Test("an empty chunk would end the content and is not written")
    func emptyChunk() {
        let writer = HeadWriter()
        writer.chunk(UnsafeRawBufferPointer(start: nil, count: 0))
        #expect(writer.bytes.isEmpty)
        writer.lastChunk()
        #expect(writer.text == "0\r\n\r\n")
    }

    @Test(
        "numbers come out in decimal",
        arguments: [0, 5, 9, 10, 99, 100, 1_234_567_890, .max, .min] as [Int64])
    func numbers(value: Int64) {
        let writer = HeadWriter()
        writer.field(literal: "N", value)
        #expect(writer.text == "N: \(value)\r\n")
    }

    @Test("a status that does not fit three digits is brought into range")
    func statusRange() {
        for (status, shown) in [(0, "100 Continue"), (7_000, "999 "), (599, "599 ")] {
            let writer = HeadWriter()
            writer.startResponse(status: status)
            #expect(writer.text == "HTTP/1.1 \(shown)\r\n")
        }
    }
}

extension HeadWriter {
    fileprivate var text: String { String(decoding: array, as: UTF8.self) }
}
