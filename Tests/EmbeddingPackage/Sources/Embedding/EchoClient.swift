import Reactor

/// Sends a message and gives back all that the other side answers until it closes.
public enum EchoClient {
    /// - Parameter completion: called once, on the loop's thread, never before this call returns.
    public static func send(
        _ message: [UInt8], to address: SocketAddress, loop: EventLoop, deadline: Duration,
        completion: @escaping (Result<[UInt8], UVError>) -> Void
    ) {
        let client = TCPConnection(loop: loop)
        var answer: [UInt8] = []
        client.onRead = { _, bytes in answer += bytes }
        client.onEnd = { client, error in
            client.close()
            completion(error.map { .failure($0) } ?? .success(answer))
        }
        client.connect(to: address, deadline: deadline) { client, result in
            if case .failure(let error) = result {
                completion(.failure(error))  // a connect that failed closes by itself
                return
            }
            client.resumeReading()
            client.write(message)
            client.endWriting()  // our FIN: the service answers the rest, then closes
        }
    }
}
