import HTTP
import JSONCodec
import Pacing
import Reactor

struct ExchangeFailure: Error { var reason: String }

/// stub
final class ProxyExchange {
    init(loop: EventLoop, configuration: ProxyConfiguration) {}
    func deliver(
        _ list: UnsafeRawBufferPointer, to address: SocketAddress,
        completion: @escaping (String?) -> Void
    ) -> () -> Void { {} }
    func collect(
        from address: SocketAddress,
        completion: @escaping (Result<[UInt8], ExchangeFailure>) -> Void
    ) -> () -> Void { {} }
    func close() {}
}
