import CLibuv

/// Turns names into addresses on libuv's worker threads, without blocking the loop.
public enum Resolver {
    /// A look-up under way.
    public final class Query {
        fileprivate let request: UnsafeMutablePointer<uv_getaddrinfo_t>
        fileprivate let port: UInt16
        fileprivate let host: String
        /// Set while libuv has the request.
        fileprivate var loop: EventLoop?
        fileprivate var completion: ((Result<[SocketAddress], UVError>) -> Void)?

        fileprivate init(
            host: String, port: UInt16,
            completion: @escaping (Result<[SocketAddress], UVError>) -> Void
        ) {
            request = .allocate(capacity: 1)
            self.host = host
            self.port = port
            self.completion = completion
        }

        deinit { request.deallocate() }

        /// Withdraws interest: the completion is dropped. A worker that is looking already cannot
        /// be interrupted, and keeps the loop running until it is done.
        public func cancel() {
            completion = nil
            guard loop != nil else { return }
            _ = request.withMemoryRebound(to: uv_req_t.self, capacity: 1) { uv_cancel($0) }
        }

        fileprivate func finish(_ result: Result<[SocketAddress], UVError>) {
            let completion = self.completion
            self.completion = nil
            completion?(result)
        }
    }

    /// Looks `host` up, in the order the system prefers (RFC 6724).
    ///
    /// An address literal is answered without a look-up, in the next turn of the loop.
    ///
    /// - Parameter completion: gets at least one address, or the reason why there is none; called
    ///   once, never before this call has returned.
    @discardableResult
    public static func resolve(
        _ host: String, port: UInt16, loop: EventLoop,
        completion: @escaping (Result<[SocketAddress], UVError>) -> Void
    ) -> Query {
        let query = Query(host: host, port: port, completion: completion)
        if let literal = IPAddress(host) {
            loop.enqueue { query.finish(.success([SocketAddress(literal, port: port)])) }
            return query
        }
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        // The request owns a reference until its callback: the worker fills in its memory.
        query.loop = loop
        query.request.pointee.data = Unmanaged.passRetained(query).toOpaque()
        let code = uv_getaddrinfo(
            loop.raw, query.request, Resolver.answered, host, nil, &hints)
        if code < 0 {
            Unmanaged.passUnretained(query).release()
            query.loop = nil
            let error = UVError(operation: "resolve \(host)", code: code)
            loop.enqueue { query.finish(.failure(error)) }
        }
        return query
    }

    private static let answered: uv_getaddrinfo_cb = { request, status, list in
        guard let request, let data = request.pointee.data else { return }
        defer { uv_freeaddrinfo(list) }
        let query = Unmanaged<Query>.fromOpaque(data).takeRetainedValue()
        query.loop = nil
        var addresses: [SocketAddress] = []
        var next = list
        while let entry = next {
            if let socketAddress = entry.pointee.ai_addr,
                let address = SocketAddress(UnsafePointer(socketAddress))
            {
                let wanted = SocketAddress(address.ipAddress, port: query.port)
                if !addresses.contains(wanted) { addresses.append(wanted) }
            }
            next = entry.pointee.ai_next
        }
        if status >= 0, !addresses.isEmpty {
            query.finish(.success(addresses))
        } else {
            let code = status < 0 ? status : UV_EAI_NONAME.rawValue
            query.finish(.failure(UVError(operation: "resolve \(query.host)", code: code)))
        }
    }
}

@available(*, unavailable)
extension Resolver.Query: Sendable {}
