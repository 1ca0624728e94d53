import Logging
import Pacing
import Reactor
import Telemetry
@_exported import TestSupport
import Testing

@testable import EgressGateway

/// One GET, and its answer in pieces.
func ask(
    _ loop: EventLoop, _ address: SocketAddress?, _ path: String,
    then: @escaping (_ status: Int, _ head: String, _ body: String) -> Void
) {
    ask(loop, address, "GET", path) { then($0.status, $0.head, $0.body) }
}

/// A client with a quick test on a free port.
func client(
    _ loop: EventLoop, target: SocketAddress, logger: Logger = silent,
    _ change: (inout EgressClientConfiguration) -> Void = { _ in },
    readWallClock: @escaping () -> WallClock = {
        WallClock(nanosecondsSinceEpoch: EventLoop.wallClockNanoseconds)
    }
) -> EgressClientService {
    var configuration = EgressClientConfiguration(target: EgressTarget(target), start: .measure())
    configuration.listen = anyPort
    configuration.interval = .milliseconds(5)
    change(&configuration)
    // The process of the tests has long been running; the test has not.
    let start = configuration.start.moment
    configuration.testTimeout += loop.now - start
    return EgressClientService(
        loop: loop, configuration: configuration, logger: logger, readWallClock: readWallClock)
}

/// A target on a free port.
func target(
    _ loop: EventLoop, allowed: String,
    _ change: (inout ExternalTargetConfiguration) -> Void = { _ in }
) throws -> ExternalTargetService {
    var configuration = ExternalTargetConfiguration(
        allowed: [try #require(CIDR(allowed))])
    configuration.listen = anyPort
    change(&configuration)
    return ExternalTargetService(loop: loop, configuration: configuration, logger: silent)
}
