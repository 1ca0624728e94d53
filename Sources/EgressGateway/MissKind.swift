/// Why a probe did not get its `pong`, and what that proves.
public enum MissKind: UInt8, Sendable, CaseIterable {
    /// Connected, and closed by the target without an answer: it saw a source that is not allowed.
    case closed
    /// Connected, and broken off by the target or by something on the way.
    case reset
    /// Answered with something else than `pong`.
    case wrongReply
    /// Connection refused: nobody listens, or a firewall answers with a reset.
    case refused
    /// No answer in time.
    case timedOut
    /// Host, network or port unreachable, or administratively prohibited.
    case unreachable
    /// This machine could not even try: out of descriptors, ports or buffers.
    case local
    /// The target's name has no address, or nobody could be asked for it.
    case unresolved

    /// For logs, status and metric labels.
    public var words: String {
        switch self {
        case .closed: "closed"
        case .reset: "reset"
        case .wrongReply: "wrong-reply"
        case .refused: "refused"
        case .timedOut: "timeout"
        case .unreachable: "unreachable"
        case .local: "local"
        case .unresolved: "unresolved"
        }
    }

    /// Nothing was sent to the target, so nothing is held against it.
    var isLocal: Bool { self == .local || self == .unresolved }
}
