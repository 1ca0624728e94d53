import Reactor

/// What a request, or the connection for it, failed of.
public enum FailureKind: String, CaseIterable, Sendable {
    /// The name could not be looked up again.
    case resolve
    case refused
    case unreachable
    /// No connection within the time for it.
    case connectTimeout = "connect-timeout"
    /// The connection was reset before the answer was complete.
    case reset
    /// The server ended the connection before the answer was complete.
    case closed
    /// No answer within the time for it.
    case timeout
    /// An answer with another status than 2xx.
    case status
    /// Something that is no answer, or that nobody asked for.
    case malformed
    /// This machine has run out of descriptors, ports or memory.
    case local
    case other

    /// What a dial failed of.
    init(dial error: UVError) {
        switch error.kind {
        case .refused: self = .refused
        case .unreachable: self = .unreachable
        case .timedOut: self = .connectTimeout
        case .reset: self = .reset
        default: self = error.isLocal ? .local : .other
        }
    }

    /// What ended a connection; nil for the server's FIN.
    init(end error: UVError?) {
        switch error?.kind {
        case nil: self = .closed
        case .reset: self = .reset
        case .timedOut: self = .timeout
        default: self = error?.isLocal == true ? .local : .other
        }
    }

    var index: Int { FailureKind.allCases.firstIndex(of: self) ?? 0 }
}
