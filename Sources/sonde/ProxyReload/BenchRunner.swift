import Pacing
import ProxyReload
import Reactor
import Telemetry

/// Runs a bench with its signals until it ends.
struct BenchRunner {
    private let configuration: BenchConfiguration
    private let isQuiet: Bool

    init(_ configuration: BenchConfiguration, isQuiet: Bool) {
        self.configuration = configuration
        self.isQuiet = isQuiet
    }

    func run() throws -> BenchReport {
        var outcome: Result<BenchReport, BenchFailure>?
        do {
            let loop = try EventLoop()
            let bench = Bench(loop: loop, configuration: configuration) { outcome = $0 }
            bench.onLog = { line in
                var text: [UInt8] = []
                WallClock(nanosecondsSinceEpoch: EventLoop.wallClockNanoseconds)
                    .appendLogPrefix(to: &text)
                StandardStream.error.write(text + Array("\(line)\n".utf8))
            }
            let ends = try [SignalSource.interrupt, SignalSource.terminate].map {
                try SignalSource(loop: loop, signal: $0) { bench.stop() }
            }
            let marks = try SignalSource(loop: loop, signal: SignalSource.user1) { bench.mark() }
            try bench.start()
            loop.run()
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

extension Failure {
    init(_ failure: BenchFailure) {
        switch failure {
        case .system(let error): self.init(error)
        case .usage(let text): self.init(message: text, code: 64)
        }
    }
}
