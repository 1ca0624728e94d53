import Pacing
import Reactor
@_exported import TestSupport
import Testing

@testable import LongLived

/// A server on a free port.
func server(
    _ loop: EventLoop, _ podID: String,
    _ change: (inout DelayingServerConfiguration) -> Void = { _ in }
) throws -> DelayingServer {
    var configuration = DelayingServerConfiguration(podID: podID)
    configuration.listen = anyPort
    configuration.delay = .milliseconds(1) ... .milliseconds(5)
    change(&configuration)
    let server = DelayingServer(loop: loop, configuration: configuration, logger: silent)
    try server.start()
    return server
}

/// A client that holds connections to `address` without pauses; it has not begun.
func client(
    _ loop: EventLoop, _ address: SocketAddress?, lines: ((String) -> Void)? = nil,
    _ change: (inout HoldClientConfiguration) -> Void, onEnd: @escaping () -> Void
) throws -> HoldClient {
    let target = try #require(address.flatMap { HoldTarget("http://\($0)/") })
    var configuration = HoldClientConfiguration(target: target)
    configuration.think = .zero ... .milliseconds(2)
    change(&configuration)
    return HoldClient(
        loop: loop, configuration: configuration,
        onLine: lines.map { lines in { lines(String(decoding: $0, as: UTF8.self)) } },
        onTick: {}, onEnd: onEnd)
}

/// One GET, and all of its answer.
func ask(
    _ loop: EventLoop, _ address: SocketAddress?, _ path: String,
    then: @escaping (String) -> Void
) {
    ask(loop, address, "GET", path) { then($0.text) }
}
