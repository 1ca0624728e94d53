import Pacing
import Reactor
import Result
import Telemetry

/// The beginning of a run: kept until its end, when both make what a result says of it.
public struct RunRecord {
    private let began: WallClock
    private let start: Instant
    private let id: String

    /// Now, on this loop's clock and the machine's.
    public init(loop: EventLoop) {
        began = WallClock(nanosecondsSinceEpoch: EventLoop.wallClockNanoseconds)
        start = loop.now
        var random = SystemRandomNumberGenerator()
        id = RunResult.Run.id((random.next(), random.next()))
    }

    /// The run, as it is to be known: its end is its beginning and what passed since on a clock
    /// that nobody sets.
    ///
    /// The host is the pod's name where the environment has it (`POD_NAME`), else the machine's.
    public func run(until now: Instant, command: [String]) -> RunResult.Run {
        RunResult.Run(
            id: id, tool: "sonde \(Build.version)",
            host: Environment["POD_NAME"] ?? Environment.hostName ?? "unknown",
            command: command, began: began, ended: began + (now - start))
    }
}
