import HTTPCodec

/// Reads the answers of many connections, and whose they are. Knows no sockets.
///
/// An answer that arrives in one piece, as nearly all do, leaves nothing behind here.
struct AnswerReader {
    /// What bytes came to.
    enum Outcome: Equatable {
        /// There is more to come.
        case needMore
        /// The answer is complete.
        case answer(status: Int, pod: Int, keepsAlive: Bool)
        /// It is no answer: bytes that nobody asked for count as such, too, unless they come with
        /// the end of an answer, which then is the last on its connection.
        case malformed(HTTPCodecError)
    }

    /// What is known of an answer that is not complete.
    private struct Partial {
        /// Bytes that the machine has not consumed.
        var kept: [UInt8] = []
        var status = 0
        var pod: Int?
        /// The beginning of the content, while no field has told the pod.
        var text: [UInt8] = []
    }

    /// A name that the content tells is told in its first bytes.
    private static let textLimit = 1024

    private let context: HTTPCodecContext
    private var machines: [ClientConnectionMachine]
    private var partials: [Int: Partial] = [:]
    /// By connection: who answered last.
    private var lastPods: [Int16]
    /// By pod: the connections on which it answered last.
    private(set) var held: [Int] = []
    private(set) var pods = PodNames()

    init(connections: Int, limits: HTTPLimits = HTTPLimits()) {
        context = HTTPCodecContext(limits: limits)
        machines = Array(repeating: ClientConnectionMachine(), count: connections)
        lastPods = Array(repeating: -1, count: connections)
    }

    /// A new connection takes this place.
    mutating func connected(_ index: Int) {
        machines[index] = ClientConnectionMachine()
        partials[index] = nil
    }

    /// A connection has gone: nobody has answered on it.
    mutating func disconnected(_ index: Int) {
        note(index, heldBy: -1)
        partials[index] = nil
    }

    /// A GET is being sent. False where the connection cannot take one.
    mutating func requested(_ index: Int) -> Bool {
        machines[index].startRequest(method: .get)
    }

    mutating func received(_ index: Int, _ bytes: UnsafeRawBufferPointer) -> Outcome {
        guard var partial = partials.isEmpty ? nil : partials.removeValue(forKey: index) else {
            var fresh = Partial()
            return process(index, bytes, &fresh)
        }
        if partial.kept.isEmpty { return process(index, bytes, &partial) }
        let joined = partial.kept + UnsafeRawBufferPointer(bytes)
        return joined.withUnsafeBytes { process(index, $0, &partial) }
    }

    /// Whether some of the answer to the last request has come.
    func hasBegun(_ index: Int) -> Bool { machines[index].hasSeenResponseBytes }

    /// The server sends no more: the end of an answer that has no other, and of no other.
    mutating func ended(_ index: Int) -> Outcome {
        guard machines[index].receiveEnd() == .endOfResponse else { return .needMore }
        return answer(index, partials.removeValue(forKey: index) ?? Partial(), keepsAlive: false)
    }

    private mutating func process(
        _ index: Int, _ bytes: UnsafeRawBufferPointer, _ partial: inout Partial
    ) -> Outcome {
        var consumed = 0
        while true {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[consumed...])
            let step = machines[index].receive(rest, context)
            consumed += step.consumed
            switch step.event {
            case .informational, .trailers: continue
            case .needMore:
                partial.kept = Array(bytes[consumed...])
                partials[index] = partial
                return .needMore
            case .failed(let error): return .malformed(error)
            case .body(let range): note(rest[range], &partial)
            case .response(let head):
                partial.status = head.status
                if let name = context.response(in: rest).fields["pod-id"].flatMap(PodNames.word) {
                    partial.pod = pods.number(of: name, guess: Int(lastPods[index]))
                }
                if head.framing == .none { return complete(index, partial) }
            case .endOfResponse: return complete(index, partial)
            }
        }
    }

    private mutating func note(_ index: Int, heldBy pod: Int) {
        let before = Int(lastPods[index])
        guard before != pod else { return }
        if before >= 0 { held[before] -= 1 }
        while held.count <= pod { held.append(0) }
        if pod >= 0 { held[pod] += 1 }
        lastPods[index] = Int16(clamping: pod)
    }

    private func note(_ content: Slice<UnsafeRawBufferPointer>, _ partial: inout Partial) {
        let room = AnswerReader.textLimit - partial.text.count
        if partial.pod == nil, room > 0 { partial.text.append(contentsOf: content.prefix(room)) }
    }

    private mutating func complete(_ index: Int, _ partial: Partial) -> Outcome {
        answer(index, partial, keepsAlive: machines[index].isReusable)
    }

    private mutating func answer(
        _ index: Int, _ partial: Partial, keepsAlive: Bool
    ) -> Outcome {
        let guess = Int(lastPods[index])
        let pod =
            partial.pod
            ?? partial.text.withUnsafeBytes { text in
                PodNames.name(inBody: text).map { pods.number(of: $0, guess: guess) }
            } ?? pods.unknownNumber(guess: guess)
        note(index, heldBy: pod)
        return .answer(status: partial.status, pod: pod, keepsAlive: keepsAlive)
    }
}

@available(*, unavailable)
extension AnswerReader: Sendable {}
