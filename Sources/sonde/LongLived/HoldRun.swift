import Instrument
import LongLived
import Pacing
import Reactor
import Telemetry

/// One run of the client with its streams, files and signals.
struct HoldRun {
    var configuration: HoldClientConfiguration
    var output: HoldOutputOptions
    var metrics: SecuredMetricsOptions
    /// How long to wait for the target's first success; nil for not at all.
    var waitLimit: Duration?

    /// - Returns: the client when it has ended.
    func run() throws -> HoldClient {
        let began = WallClock(nanosecondsSinceEpoch: EventLoop.wallClockNanoseconds)
        let files = ResultFiles([output.jsonPath, output.csvPath, output.reportPath])
        let client: HoldClient
        let waitFailure: String?
        do {
            (client, waitFailure) = try hold(try EventLoop(), files)
        } catch let error as UVError
            where error.operation == "listen on" && error.kind == .addressNotAvailable
            && configuration.sources.contains(where: { $0 == error.address?.ipAddress })
        {
            let source = error.address.map { "\($0.ipAddress)" } ?? ""
            throw Failure.system("--source-addr \(source): not an address of this machine")
        } catch let error as UVError {
            throw Failure(error)
        }
        if let waitFailure {
            throw Failure.unavailable("\(configuration.target): no success yet: \(waitFailure)")
        }
        let report = client.report
        files.write(output.jsonPath) { report.json }
        files.write(output.csvPath) { report.csv }
        files.write(output.reportPath) {
            LongLivedPage(report: report, configuration: configuration, began: began).page.html
        }
        try files.finish(report.text())
        return client
    }

    /// An address that is not this machine's is no failure of the target's, and none that passes.
    private func checkSources(_ loop: EventLoop) throws(UVError) {
        for source in configuration.sources {
            let address = SocketAddress(source, port: 0)
            try TCPListener(loop: loop, address: address, onConnection: { _ in }).close()
        }
    }

    /// - Returns: the client when it has ended, and why the target was waited for in vain, if so.
    private func hold(
        _ loop: EventLoop, _ files: ResultFiles
    ) throws -> (HoldClient, String?) {
        try checkSources(loop)
        let writesLines =
            !output.quiet && !StandardStream.output.isTerminal && !files.takesStandardOutput
        let display = TableDisplay(showsTable: !writesLines)
        var problem: UVError?
        var wait: TargetWait?
        var waitFailure: String?
        var signals: [SignalSource] = []
        var current: HoldClient?
        var control: ControlPoint?
        let client = HoldClient(
            loop: loop, configuration: configuration,
            onLine: writesLines ? lineSink(files) { loop.enqueue { current?.stop() } } : nil,
            onFirstFailure: { reason in
                display.end()
                StandardStream.error.write("First failure: \(reason)\n")
            },
            onTick: { if let current { display.show(current, now: loop.now) } },
            onEnd: {
                for signal in signals { signal.close() }
                control?.drain(grace: .zero) {}
            })
        current = client
        for number in [SignalSource.interrupt, SignalSource.terminate] {
            signals.append(
                try SignalSource(loop: loop, signal: number) {
                    wait?.cancel()
                    client.stop()
                })
        }
        // After the signals: who reads that it listens may end it at once.
        control = try metrics.listen(loop, client.expose)
        let begin = { start(client, files) { problem = $0 } }
        if let waitLimit {
            wait = self.wait(loop, waitLimit) { failure in
                waitFailure = failure
                if failure == nil { begin() } else { client.stop() }
            }
        } else {
            begin()
        }
        loop.run()
        display.end()
        current = nil
        if let problem { throw problem }
        wait = nil
        try loop.close()
        return (client, waitFailure)
    }

    /// Lines that cannot be written end the run.
    private func lineSink(
        _ files: ResultFiles, stop: @escaping () -> Void
    ) -> (UnsafeRawBufferPointer) -> Void {
        { line in
            do throws(UVError) {
                try StandardStream.output.deliver(Array(line))
            } catch {
                files.failed(error)
                stop()
            }
        }
    }

    private func wait(
        _ loop: EventLoop, _ limit: Duration, _ completion: @escaping (String?) -> Void
    ) -> TargetWait {
        let target = configuration.target
        let name = target.host.contains(":") ? "[\(target.host)]" : target.host
        return TargetWait(
            loop: loop, authority: "\(name):\(target.port)", path: target.path,
            host: target.authority, limit: limit,
            timeout: configuration.timeout,
            onFailure: { StandardStream.error.write("Waiting for \(target): \($0)\n") },
            completion: completion)
    }

    private func start(
        _ client: HoldClient, _ files: ResultFiles, _ onProblem: @escaping (UVError) -> Void
    ) {
        client.start { result in
            do throws(UVError) {
                _ = try result.get()
                // Only now: a mistyped host leaves earlier results as they were.
                try files.open()
                announce(client)
            } catch {
                onProblem(error)
                client.stop()
            }
        }
    }

    private func announce(_ client: HoldClient) {
        var line = "Holding \(configuration.connections) connections to \(configuration.target)"
        let sources = client.configuration.sources
        if configuration.sources.isEmpty, let first = sources.first, let last = sources.last {
            line += " from \(first) to \(last): one source address would be slow"
        } else if sources.isEmpty, configuration.connections > configuration.perSource {
            line += " from one source address, which is slow to open (see --source-addr)"
        }
        StandardStream.error.write(line + ", seed \(configuration.seed)\n")
    }
}

/// The table, drawn over and over on a terminal; a line every five seconds elsewhere, and where the
/// lines of the responses may go to the same terminal through a pipe.
final class TableDisplay {
    private static let rows = 12

    private let isTerminal = StandardStream.error.isTerminal
    private let showsTable: Bool
    private var drawnLines = 0
    private var nextLineAt: Instant?

    init(showsTable: Bool) { self.showsTable = showsTable }

    func show(_ client: HoldClient, now: Instant) {
        guard isTerminal, showsTable else { return showLine(client, now: now) }
        let text = client.report.text(rows: TableDisplay.rows)
        // Lines that are too long are cut off: one that wraps would not be erased whole.
        StandardStream.error.write(erase + "\u{1B}[?7l" + text + "\u{1B}[?7h")
        drawnLines = text.count { $0 == "\n" }
    }

    /// Leaves the place to whatever is printed next.
    func end() {
        if drawnLines > 0 { StandardStream.error.write(erase) }
        drawnLines = 0
    }

    private var erase: String { drawnLines > 0 ? "\u{1B}[\(drawnLines)A\u{1B}[J" : "" }

    private func showLine(_ client: HoldClient, now: Instant) {
        if let nextLineAt, now < nextLineAt { return }
        defer { nextLineAt = now + .seconds(5) }
        if nextLineAt == nil { return }
        StandardStream.error.write(client.progress + "\n")
    }
}
