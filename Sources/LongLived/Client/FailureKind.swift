import Reactor

/// What a request, or the connection for it, failed of.
public enum FailureKind: String, CaseIterable, Sendable {
    /// The name could not be looked up again, or has no address of the sources' family.
    case resolve
    case refused
    case unreachable
    /// No connection within the time for it.
    case connectTimeout = "connect-timeout"
    /// The connection was reset before the answer was complete.
    case reset
    /// A connection that had answered before ended, by a reset or politely, before the first byte
    /// of the next answer: the server may have been closing it when the request was sent (RFC 9112
    /// §9.3.1), or have gone.
    case reused = "ended-reused"
    /// The server ended the connection before the answer was complete.
    case closed
    /// No answer within the time for it.
    case timeout
    /// An answer with another status than 2xx.
    case status
    /// Something that is no answer, or that nobody asked for.
    case malformed
    /// This process has run out of descriptors.
    case descriptors
    /// The source address has run out of ports.
    case ports
    /// The source address is not one of this machine.
    case source
    /// This machine has run out of memory, or cannot do it for another reason of its own.
    case local
    case other

    /// Whether this machine or its look-up of names is to blame, and not the target.
    public var isLocal: Bool {
        switch self {
        case .resolve, .descriptors, .ports, .source, .local: true
        default: false
        }
    }

    /// What a dial failed of.
    init(dial error: UVError) {
        switch error.kind {
        case .refused: self = .refused
        case .unreachable: self = .unreachable
        case .timedOut: self = .connectTimeout
        case .reset: self = .reset
        case .outOfDescriptors: self = .descriptors
        // Binding chooses no port: that is the connect's affair.
        case .addressNotAvailable, .addressInUse:
            self = error.operation == "bind" ? .source : .ports
        default: self = error.isLocal ? .local : .other
        }
    }

    /// What ended a connection; nil for the server's FIN.
    init(end error: UVError?) {
        switch error?.kind {
        case nil: self = .closed
        case .reset: self = .reset
        case .timedOut: self = .timeout
        case .outOfDescriptors: self = .descriptors
        default: self = error?.isLocal == true ? .local : .other
        }
    }

    var index: Int { FailureKind.allCases.firstIndex(of: self) ?? 0 }
}
