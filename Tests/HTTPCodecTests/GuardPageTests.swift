import Glibc
import HTTPCodec
import Testing

/// The last byte of the input is the last byte before a page that may not be read.
@Suite struct GuardPageTests {
    @Test("no parser reads past the end of its bytes, wherever they are cut")
    func guardPage() throws {
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let mapping = mmap(
            nil, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        let memory = try #require(mapping == MAP_FAILED ? nil : mapping)
        defer { munmap(memory, 2 * page) }
        try #require(mprotect(memory + page, page, PROT_NONE) == 0)

        var fed = 0
        for vector in VectorFile.requests + VectorFile.responses {
            for count in stride(from: 1, through: min(vector.bytes.count, page), by: 3) {
                let start = memory + page - count
                start.copyMemory(from: vector.bytes, byteCount: count)
                let bytes = UnsafeRawBufferPointer(start: start, count: count)
                let context = HTTPCodecContext(limits: vector.limits)
                if let method = vector.requestMethod {
                    feedClient(bytes, method, context)
                } else {
                    feedServer(bytes, context)
                }
                fed += 1
            }
        }
        #expect(fed > 5_000)
    }

    private func feedServer(_ bytes: UnsafeRawBufferPointer, _ context: HTTPCodecContext) {
        var machine = ServerMessageMachine()
        var consumed = 0
        while true {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[consumed...])
            let step = machine.receive(rest, context)
            consumed += step.consumed
            switch step.event {
            case .needMore, .failed, .closed, .awaitingResponse: return
            case .request, .body, .trailers, .endOfRequest, .drained: continue
            }
        }
    }

    private func feedClient(
        _ bytes: UnsafeRawBufferPointer, _ method: RequestMethod, _ context: HTTPCodecContext
    ) {
        var machine = ClientConnectionMachine()
        guard machine.startRequest(method: method) else { return }
        var consumed = 0
        while true {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[consumed...])
            let step = machine.receive(rest, context)
            consumed += step.consumed
            switch step.event {
            case .needMore, .failed: return
            case .informational, .response, .body, .trailers, .endOfResponse: continue
            }
        }
    }
}
