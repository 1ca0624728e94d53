import Instrument
import Pacing
import ProxyReload
import Reactor
import Telemetry

/// Runs a bench with its signals until it ends.
struct BenchRunner {
    var configuration: BenchConfiguration
    var isQuiet: Bool
    /// Opened once the host is known: a mistyped one leaves earlier results as they were.
    var outputs: ResultFiles
    var metrics: SecuredMetricsOptions

    func run() throws -> BenchReport {
        var outcome: Result<BenchReport, BenchFailure>?
        do {
            let loop = try EventLoop()
            var control: ControlPoint?
            let bench = Bench(loop: loop, configuration: configuration) {
                outcome = $0
                control?.drain(grace: .zero) {}
            }
            let isShown = !isQuiet && StandardStream.output.isTerminal
            let display = BlockDisplay(isShown: isShown && !outputs.takesStandardOutput)
            bench.onReady = outputs.open
            bench.onTick = { [unowned bench] in
                // What a command prints is not drawn over.
                if bench.isRunningCommand { display.erase() } else { display.show(bench.status) }
            }
            bench.onLog = { line in
                display.erase()
                var text: [UInt8] = []
                WallClock(nanosecondsSinceEpoch: EventLoop.wallClockNanoseconds)
                    .appendLogPrefix(to: &text)
                StandardStream.error.write(text + Array("\(line)\n".utf8))
            }
            let ends = try [SignalSource.interrupt, SignalSource.terminate].map {
                try SignalSource(loop: loop, signal: $0) { bench.stop() }
            }
            let marks = try SignalSource(loop: loop, signal: SignalSource.user1) { bench.mark() }
            // After the signals: who reads that it listens may end it at once.
            control = try metrics.listen(loop, bench.expose)
            try bench.start()
            loop.run()
            display.erase()
            for signal in ends + [marks] { signal.close() }
            try loop.close()
        } catch let error as UVError {
            throw Failure(error)
        } catch let failure as BenchFailure {
            throw Failure(failure)
        }
        switch outcome {
        case .success(let report): return report
        case .failure(let failure): throw Failure(failure)
        case nil: throw Failure.failed("the bench came to no end")
        }
    }
}

/// Several lines on a terminal that are drawn over and over.
private final class BlockDisplay {
    private let isShown: Bool
    private var height = 0

    init(isShown: Bool) { self.isShown = isShown }

    func show(_ lines: [String]) {
        guard isShown else { return }
        // In one write, so that the terminal never shows the block half erased.
        StandardStream.output.write(eraser + lines.map { "\($0)\n" }.joined())
        height = lines.count
    }

    func erase() {
        if isShown, height > 0 { StandardStream.output.write(eraser) }
        height = 0
    }

    private var eraser: String { height > 0 ? "\u{1B}[\(height)A\r\u{1B}[J" : "" }
}

extension Failure {
    init(_ failure: BenchFailure) {
        switch failure {
        case .system(let error): self.init(error)
        case .usage(let text): self.init(message: text, code: 64)
        case .unavailable(let text): self.init(message: text, code: 69)
        }
    }
}
