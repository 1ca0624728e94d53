import HTTPCodec
import HTTPTypes
import Reactor

/// A request as a handler sees it: borrowed, valid only during the call that hands it over.
///
/// Looking at single parts costs next to nothing; the types of swift-http-types are built when
/// they are asked for.
public struct HTTPServerRequest {
    let view: RequestView
    /// The content, where it was collected; else empty.
    public let body: UnsafeRawBufferPointer
    let exchange: ServerExchange

    /// The method by name, or `other`.
    public var method: RequestMethod { view.method }
    /// The method as sent; compares with case.
    public var methodString: String { view.methodString }
    /// The path as sent: percent-encoded, without the query.
    public var path: String { view.path }
    /// The path in bytes, as sent: borrowed for the length of the handler's call.
    public var pathBytes: UnsafeRawBufferPointer { view.pathBytes }
    /// What follows the first "?", or nil.
    public var query: String? { view.query }
    /// Method, target, fields and framing in bytes, without copies.
    public var head: RequestView { view }
    /// The field lines in bytes, without copies.
    public var fields: FieldsView { view.fields }

    /// The content's length as announced; nil for chunked content, 0 for none.
    public var contentLength: Int64? {
        switch view.head.framing {
        case .none: 0
        case .contentLength(let length): length
        case .chunked, .untilClose: nil
        }
    }

    /// The content as an array of its own, without copying where it was collected over several
    /// reads. `body` stays valid until the handler returns.
    public func takeBody() -> [UInt8] {
        if exchange.body.count == body.count, !body.isEmpty {
            return exchange.takeBody()
        }
        return [UInt8](body)
    }

    /// Who asks; nil when the peer is gone.
    public var peerAddress: SocketAddress? { exchange.connection?.peerAddress }
    /// The address on which the request came in.
    public var localAddress: SocketAddress? { exchange.connection?.localAddress }

    /// The head as a value that may be kept. Fields that HTTPTypes cannot hold are left out.
    public var httpRequest: HTTPRequest {
        HTTPRequest(
            method: HTTPRequest.Method(view.methodString) ?? .get,
            scheme: exchange.connection?.isSecure == true ? "https" : "http",
            authority: view.authority, path: requestPath, headerFields: httpFields)
    }

    /// The fields as a value that may be kept; without Host, which `httpRequest` has as authority.
    public var httpFields: HTTPFields { HTTPFields(view.fields) }

    private var requestPath: String {
        guard let query = view.query else { return view.path }
        return view.path + "?" + query
    }
}

extension HTTPFields {
    init(_ fields: FieldsView) {
        self.init()
        reserveCapacity(fields.count)
        for index in 0..<fields.count {
            guard let name = HTTPField.Name(String(decoding: fields.name(index), as: UTF8.self)),
                name != .host
            else { continue }
            append(HTTPField(name: name, value: fields.value(index)))
        }
    }
}

extension HTTPField.Name {
    static var host: HTTPField.Name { HTTPField.Name("Host")! }
}

extension HeadWriter {
    /// The fields of a message, without those that the framing decides about.
    func fields(_ fields: HTTPFields) throws(HTTPCodecError) {
        for field in fields {
            switch field.name {
            case .contentLength, .transferEncoding, .connection: continue
            default: try self.field(field.name.rawName, field.value)
            }
        }
    }
}
