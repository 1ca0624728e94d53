import HTTPCodec
import Pacing
import Testing

@testable import LongLived

@Suite struct AnswerReaderTests {
    private func reader(_ connections: Int = 1) -> AnswerReader {
        var reader = AnswerReader(connections: connections)
        for index in 0..<connections { reader.connected(index) }
        return reader
    }

    private func give(
        _ reader: inout AnswerReader, _ text: String, to index: Int = 0
    ) -> AnswerReader.Outcome {
        Array(text.utf8).withUnsafeBytes { reader.received(index, $0) }
    }

    private let whole =
        "HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\nResponse from Pod pod-b\n"

    @Test("the field names the pod; without it the text does, with neither nobody")
    func names() {
        for (text, name) in [
            ("HTTP/1.1 200 OK\r\nPod-Id: pod-a\r\nContent-Length: 0\r\n\r\n", "pod-a"),
            ("HTTP/1.1 200 OK\r\nPod-Id: a b\r\nContent-Length: 1\r\n\r\nx", "a"),
            (whole, "pod-b"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "a\r\n<p>Respons\r\n13\r\ne from Pod p-c</p>\n\r\n0\r\n\r\n", "p-c</p>"
            ),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "(unknown)"),
            ("HTTP/1.1 204 No Content\r\n\r\n", "(unknown)"),
        ] {
            var reader = reader()
            #expect(reader.requested(0) == true)
            guard case .answer(_, let pod, let keeps) = give(&reader, text) else {
                Issue.record("no answer: \(text)")
                continue
            }
            #expect(reader.pods.names[pod] == name && keeps)
            #expect(reader.held[pod] == 1)
        }
    }

    @Test("split anywhere, byte by byte, and over several connections at once, it is the same")
    func pieces() {
        var reader = reader(3)
        for _ in 0..<2 {
            for index in 0..<3 { #expect(reader.requested(index) == true) }
            for (position, byte) in whole.utf8.enumerated() {
                for index in 0..<3 {
                    let outcome = [byte].withUnsafeBytes { reader.received(index, $0) }
                    let isLast = position == whole.utf8.count - 1
                    #expect(
                        outcome
                            == (isLast
                                ? .answer(status: 200, pod: 0, keepsAlive: true)
                                : .needMore))
                }
            }
        }
        #expect(reader.pods.names == ["pod-b"])
    }

    @Test("an answer may end with its connection; one that is cut short is none")
    func untilClose() {
        var reader = reader()
        #expect(reader.requested(0) == true)
        #expect(
            give(&reader, "HTTP/1.0 200 OK\r\n\r\nResponse from Pod old") == .needMore)
        #expect(reader.ended(0) == .answer(status: 200, pod: 0, keepsAlive: false))
        #expect(reader.pods.names == ["old"])
        reader.connected(0)
        #expect(reader.requested(0) == true)
        #expect(give(&reader, String(whole.dropLast())) == .needMore)
        #expect(reader.ended(0) == .needMore)
    }

    @Test("bytes that nobody asked for: an answer before them counts and is the last; else none")
    func surplus() {
        var reader = reader()
        #expect(reader.requested(0) == true)
        #expect(give(&reader, whole + whole) == .answer(status: 200, pod: 0, keepsAlive: false))
        #expect(reader.requested(0) == false)
        reader.connected(0)
        guard case .malformed = give(&reader, whole) else {
            Issue.record("an answer to nothing passed")
            return
        }
        reader.connected(0)
        #expect(reader.requested(0) == true)
        guard case .malformed = give(&reader, "SSH-2.0-OpenSSH_9.2\r\n") else {
            Issue.record("another protocol passed")
            return
        }
    }

    @Test("Connection: close and the status are told; a new connection starts anew")
    func closing() {
        var reader = reader()
        #expect(reader.requested(0) == true)
        let text = "HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        #expect(give(&reader, text) == .answer(status: 503, pod: 0, keepsAlive: false))
        #expect(reader.requested(0) == false)
        reader.disconnected(0)
        #expect(reader.held == [0])
        reader.connected(0)
        #expect(reader.requested(0) == true)
        #expect(give(&reader, "HTTP/1.1 2") == .needMore)
        // The rest never comes; the next connection is not confused by it.
        reader.connected(0)
        #expect(reader.requested(0) == true)
        #expect(give(&reader, whole) == .answer(status: 200, pod: 1, keepsAlive: true))
    }

    @Test("names are numbered as they come, cut off where too long, limited in number")
    func numbers() {
        var names = PodNames()
        func number(_ text: String, guess: Int = -1) -> Int {
            Array(text.utf8).withUnsafeBytes { names.number(of: $0, guess: guess) }
        }
        #expect(number("a") == 0 && number("b") == 1 && number("a") == 0)
        #expect(number("b", guess: 1) == 1 && number("b", guess: 0) == 1)
        #expect(number(String(repeating: "x", count: 300)) == 2)
        #expect(number(String(repeating: "x", count: 253)) == 2)
        for index in 3..<5000 { _ = number("pod-\(index)") }
        #expect(names.names.count == PodNames.limit && names.names.last == PodNames.others)
        #expect(number("another") == PodNames.limit - 1 && number("pod-3") == 3)
    }
}
