import HTTP
import HTTPTypes
import JSONCodec
import Pacing
import Reactor

/// The two exchanges that a proxy has with a client, and what counts as their good end.
final class ProxyExchange {
    /// Why an exchange came to no good end, in words for the log and the status.
    struct Failure: Error, Equatable {
        var reason: String
    }

    private let client: HTTPClient
    private var options = HTTPRequestOptions()

    init(loop: EventLoop, configuration: ProxyConfiguration) {
        var settings = HTTPClientConfiguration()
        settings.limits.maximumBodyBytes = configuration.maxResultBytes
        // Time is kept by the fan-out machine; these are only to be no shorter.
        settings.connectTimeout = configuration.requestTimeout + .seconds(1)
        settings.timeout = configuration.requestTimeout + .seconds(1)
        settings.maximumConnections = configuration.parallel + 1
        client = HTTPClient(loop: loop, configuration: settings)
        // Between delivery and collection lie minutes: a connection would not be kept that long.
        options.closesConnection = true
    }

    /// Posts a client its list. Good is any status from 200 to 299.
    ///
    /// - Parameter completion: told once; nil for success.
    /// - Returns: what breaks the exchange off.
    func deliver(
        _ list: UnsafeRawBufferPointer, to address: SocketAddress,
        completion: @escaping (_ failure: String?) -> Void
    ) -> () -> Void {
        let call = client.send(
            HTTPRequest(
                method: .post, scheme: "http", authority: address.description, path: "/check",
                headerFields: [.contentType: "application/json"]),
            body: Array(list), options: options
        ) { result in
            switch result {
            case .failure(let error): completion(error.description)
            case .success(let response):
                completion(
                    200...299 ~= response.status ? nil : Self.words(response.status, response.body))
            }
        }
        return { call?.cancel() }
    }

    /// Asks a client for its results. Good is a 200 with a JSON array or null, of which the
    /// completion gets exactly the bytes.
    ///
    /// - Returns: what breaks the exchange off.
    func collect(
        from address: SocketAddress, completion: @escaping (Result<[UInt8], Failure>) -> Void
    ) -> () -> Void {
        let call = client.send(
            HTTPRequest(
                method: .get, scheme: "http", authority: address.description, path: "/results"),
            options: options
        ) { result in
            switch result {
            case .failure(let error): completion(.failure(Failure(reason: error.description)))
            case .success(let response):
                guard response.status == 200 else {
                    let reason = Self.words(response.status, response.body)
                    return completion(.failure(Failure(reason: reason)))
                }
                completion(Self.checked(response.body))
            }
        }
        return { call?.cancel() }
    }

    /// Breaks off what is under way and closes every connection.
    func close() { client.close() }

    /// The one value of a document, in an array of its exact size: results are kept for long, and
    /// the buffer they were received in may be twice as large.
    static func checked(_ body: [UInt8]) -> Result<[UInt8], Failure> {
        body.withUnsafeBytes { bytes in
            var json = JSONReader(bytes)
            do throws(JSONError) {
                let kind = try json.peek()
                guard kind == .array || kind == .null else {
                    throw json.error(expected: "an array of results", at: json.offset)
                }
                let value = try json.skipValue()
                try json.endDocument()
                return .success(Array(value))
            } catch {
                return .failure(Failure(reason: "results: \(error)"))
            }
        }
    }

    /// A status, and the first line of what was said with it.
    private static func words(_ status: Int, _ body: [UInt8]) -> String {
        let line = String(decoding: body.prefix(200).prefix { $0 >= 0x20 }, as: UTF8.self)
        return line.isEmpty ? "answered \(status)" : "answered \(status): \(line)"
    }
}

@available(*, unavailable)
extension ProxyExchange: Sendable {}
