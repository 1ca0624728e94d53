import HTTPCodec
import Reactor

/// Why a request or a response did not come about.
///
/// Printed as a person would say it: `connect 10.0.0.7:8080: connection refused`.
public struct HTTPError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Whose doing it was. An instrument counts only remote faults against its target.
    public enum Fault: Equatable, Sendable { case local, remote }

    /// What went wrong.
    public enum Reason: Equatable, Sendable {
        /// The request cannot be sent as it is (scheme, authority, path or a field).
        case invalidRequest(String)
        /// The name did not resolve, or no connection could be made.
        case connect(StreamError)
        /// The time for the whole exchange is over.
        case timedOut
        /// The connection broke off before the message was complete; nil for an orderly close.
        case connectionLost(StreamError?)
        /// The peer sent what is not acceptable HTTP/1.1, or more than the limits allow.
        case malformed(HTTPCodecError)
        /// This side gave up: the server or the client was closed.
        case closed
    }

    /// What went wrong.
    public let reason: Reason
    /// Whose doing it was.
    public let fault: Fault

    /// An error of this kind; `remote` only where the peer or the way to it is to blame.
    public init(_ reason: Reason, fault: Fault) {
        self.reason = reason
        self.fault = fault
    }

    static func connect(_ error: any StreamFailure) -> HTTPError {
        HTTPError(.connect(StreamError(error)), fault: error.isLocal ? .local : .remote)
    }

    /// The status with which a server would pass this on (RFC 9110 §15.6).
    public var statusHint: Int {
        switch reason {
        case .invalidRequest, .closed: 500
        case .timedOut: 504
        case .connect(let error): error.systemError?.kind == .timedOut ? 504 : 502
        case .connectionLost: 502
        case .malformed(let error): error.statusHint
        }
    }

    public var description: String {
        switch reason {
        case .invalidRequest(let what): "request cannot be sent: \(what)"
        case .connect(let error): error.description
        case .timedOut: "timed out"
        case .connectionLost(nil): "connection closed before the message was complete"
        case .connectionLost(let error?): error.description
        case .malformed(let error): "malformed message: \(error)"
        case .closed: "closed by this side"
        }
    }
}
