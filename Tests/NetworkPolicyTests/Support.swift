import Reactor
@_exported import TestSupport
import Testing

/// One request, and its answer in pieces.
func ask(
    _ loop: EventLoop, _ address: SocketAddress?, _ method: String, _ path: String,
    body: String = "", then: @escaping (_ status: Int, _ body: String, _ head: String) -> Void
) {
    ask(loop, address, method, path, body: body) { then($0.status, $0.body, $0.head) }
}
