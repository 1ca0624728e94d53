import HTTPCodec
import HTTPTypes
import Reactor

/// How an ``HTTPClient`` behaves where a request does not say otherwise.
public struct HTTPClientConfiguration: Sendable {
    /// Sizes of response heads and content.
    public var limits = HTTPLimits()
    /// For a whole exchange: looking up, connecting, sending, and the last byte of the response.
    public var timeout = Duration.seconds(30)
    /// For one attempt to connect; a host's addresses are tried a quarter of a second apart.
    public var connectTimeout = Duration.seconds(10)
    /// How long an idle connection is kept. Below what servers usually keep (60 s and more), so
    /// that a request seldom meets a connection which is just being closed.
    public var idleTimeout = Duration.seconds(30)
    /// Idle connections kept for one origin; further ones are closed.
    public var maximumIdlePerOrigin = 32
    /// Connections open or being opened; further requests wait for one.
    public var maximumConnections = 4096
    /// The same for one origin.
    public var maximumConnectionsPerOrigin = 4096
    /// The own address to connect from; with port 0 the kernel picks the port.
    public var sourceAddress: SocketAddress?
    /// The value of User-Agent, unless a request has one; nil for none.
    public var userAgent: String? = "sonde"

    /// Everything at its default.
    public init() {}
}

/// What one request asks for besides itself.
public struct HTTPRequestOptions: Sendable {
    /// Instead of the configuration's.
    public var timeout: Duration?
    /// Instead of the limits' `maximumBodyBytes`, for the response.
    public var maximumBodyBytes: Int64?
    /// Instead of the configuration's.
    public var sourceAddress: SocketAddress?
    /// The Host field, instead of the request's authority.
    public var host: String?
    /// Asks the server to close after the response (`Connection: close`).
    public var closesConnection = false

    /// Everything as configured.
    public init() {}
}

/// A response. The fields are kept as they came and built into types when asked for.
public struct HTTPClientResponse: Sendable {
    /// Three digits, 200 and above.
    public let status: Int
    /// The content, where it was collected.
    public internal(set) var body: [UInt8] = []
    /// Whether the connection had served another request before.
    public internal(set) var usedOpenConnection = false
    private let head: ResponseHead
    private let headBytes: [UInt8]
    private let lines: [FieldLine]
    /// The fields after chunked content, which are not merged into the others (RFC 9110 §6.5.1).
    public internal(set) var trailers = HTTPFields()

    init(_ view: ResponseView) {
        status = view.status
        head = view.head
        headBytes = [UInt8](view.headBytes)
        var lines: [FieldLine] = []
        view.fields.appendLines(to: &lines)
        self.lines = lines
    }

    /// The head as a value of swift-http-types.
    public var httpResponse: HTTPResponse {
        HTTPResponse(status: HTTPResponse.Status(code: status), headerFields: fields)
    }

    /// The fields as a value of swift-http-types.
    public var fields: HTTPFields { withFields { HTTPFields($0) } ?? [:] }

    /// The value of the first field with this name, compared without case.
    public func field(_ name: String) -> String? {
        withFields { $0.string(name) } ?? nil
    }

    private func withFields<R>(_ body: (FieldsView) -> R) -> R? {
        headBytes.withUnsafeBytes { bytes in
            lines.withUnsafeBufferPointer { lines in
                lines.baseAddress.map {
                    body(FieldsView(bytes: bytes, lines: $0, count: lines.count))
                }
            }
        }
    }
}

/// Who answers: connections are kept and reused per origin.
struct Origin: Hashable {
    var scheme: String
    var host: String
    var port: UInt16
    var source: SocketAddress?

    /// Parses `host`, `host:port`, `[v6]` or `[v6]:port`.
    init?(scheme: String, authority: String, defaultPort: UInt16, source: SocketAddress?) {
        self.scheme = scheme
        self.source = source
        if let (host, port) = SocketAddress.split(authority) {
            self.host = String(host)
            self.port = port
        } else if authority.hasPrefix("["), authority.hasSuffix("]") {
            host = String(authority.dropFirst().dropLast())
            port = defaultPort
        } else if !authority.contains(":") {
            host = authority
            port = defaultPort
        } else {
            return nil
        }
        let isLiteral = authority.hasPrefix("[")
        guard !host.isEmpty, port != 0, isLiteral == host.contains(":"),
            !host.utf8.contains(where: { $0 <= 0x20 || $0 >= 0x7F || $0 == UInt8(ascii: "@") })
        else { return nil }
        if isLiteral, IPAddress(host) == nil { return nil }
    }
}
