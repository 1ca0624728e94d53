import HTTP
import HTTPCodec
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
        settings.connectTimeout = configuration.requestTimeout + .seconds(10)
        settings.timeout = configuration.requestTimeout + .seconds(10)
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
        // Collected here and not by the client, so that the buffer has no second owner: results
        // are large, and are cut to size in place.
        let received = Received()
        let request = HTTPRequest(
            method: .get, scheme: "http", authority: address.description, path: "/results")
        let call = client.stream(
            request, options: options, onHead: { received.begin($0) },
            onSlice: { received.bytes.append(contentsOf: $0) }
        ) { result in
            switch result {
            case .failure(let error): completion(.failure(Failure(reason: error.description)))
            case .success(let response) where response.status != 200:
                let reason = Self.words(response.status, received.bytes)
                completion(.failure(Failure(reason: reason)))
            case .success: completion(received.checked())
            }
        }
        return { call?.cancel() }
    }

    /// Breaks off what is under way and closes every connection.
    func close() { client.close() }

    /// A status, and the first line of what was said with it.
    private static func words(_ status: Int, _ body: [UInt8]) -> String {
        let line = String(decoding: body.prefix(200).prefix { $0 >= 0x20 }, as: UTF8.self)
        return line.isEmpty ? "answered \(status)" : "answered \(status): \(line)"
    }
}

/// The content of a response while it comes in.
private final class Received {
    var bytes: [UInt8] = []

    func begin(_ head: ResponseView) {
        // A length is only a claim, so not too much is staked on it.
        guard case .contentLength(let length) = head.head.framing else { return }
        bytes.reserveCapacity(Int(min(length, 4 << 20)))
    }

    /// The one value of the document and nothing else, in an array of about its size: results are
    /// kept for long, and a buffer that grew may be twice as large as what is in it.
    func checked() -> Result<[UInt8], ProxyExchange.Failure> {
        let result = bytes.withUnsafeBytes { bytes -> Result<Range<Int>, ProxyExchange.Failure> in
            var json = JSONReader(bytes)
            do throws(JSONError) {
                let kind = try json.peek()
                guard kind == .array || kind == .null else {
                    throw json.error(expected: "an array of results", at: json.offset)
                }
                let start = json.offset
                try json.skipValue()
                let end = json.offset
                try json.endDocument()
                return .success(start..<end)
            } catch {
                return .failure(ProxyExchange.Failure(reason: "results: \(error)"))
            }
        }
        return result.map { value in
            var bytes: [UInt8] = []
            swap(&bytes, &self.bytes)
            guard value.lowerBound == 0, bytes.capacity - value.count < 4096 else {
                return Array(bytes[value])
            }
            bytes.removeLast(bytes.count - value.count)
            return bytes
        }
    }
}

@available(*, unavailable)
extension ProxyExchange: Sendable {}
