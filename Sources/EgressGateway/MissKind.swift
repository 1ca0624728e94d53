/// Why a probe did not get its `pong`. All but ``local`` say something about the path.
public enum MissKind: UInt8, Sendable, CaseIterable {
    /// Connected, and closed by the target without an answer: it saw a source that is not allowed.
    case closed
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

    /// For logs, status and metric labels.
    public var words: String {
        switch self {
        case .closed: "closed"
        case .wrongReply: "wrong-reply"
        case .refused: "refused"
        case .timedOut: "timeout"
        case .unreachable: "unreachable"
        case .local: "local"
        }
    }
}
