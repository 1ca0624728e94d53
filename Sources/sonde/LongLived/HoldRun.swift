import Instrument
import LongLived
import Pacing
import Reactor
import Telemetry

/// One run of the client with its streams, files and signals.
struct HoldRun {
    var configuration: HoldClientConfiguration
    var output: HoldOutputOptions
    var metrics: MetricsOptions

    /// - Returns: the client when it has ended.
    func run() throws -> HoldClient {
        let began = WallClock(nanosecondsSinceEpoch: EventLoop.wallClockNanoseconds)
        let files = ResultFiles([output.jsonPath, output.csvPath, output.reportPath])
        let client: HoldClient
        do throws(UVError) {
            client = try hold(try EventLoop(), files)
        } catch {
            throw Failure(error)
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

    private func hold(_ loop: EventLoop, _ files: ResultFiles) throws(UVError) -> HoldClient {
        let writesLines =
            !output.quiet && !StandardStream.output.isTerminal && !files.takesStandardOutput
        var display = TableDisplay(showsTable: !writesLines)
        var problem: UVError?
        var signals: [SignalSource] = []
        var current: HoldClient?
        var control: ControlPoint?
        let client = HoldClient(
            loop: loop, configuration: configuration,
            onLine: writesLines
                ? { line in
                    do throws(UVError) {
                        try StandardStream.output.deliver(Array(line))
                    } catch {
                        files.failed(error)
                        current?.stop()
                    }
                } : nil,
            onTick: { if let current { display.show(current, now: loop.now) } },
            onEnd: {
                for signal in signals { signal.close() }
                control?.drain(grace: .zero) {}
            })
        current = client
        for number in [SignalSource.interrupt, SignalSource.terminate] {
            signals.append(try SignalSource(loop: loop, signal: number) { client.stop() })
        }
        // After the signals: who reads that it listens may end it at once.
        control = try metrics.listen(loop, client.expose)
        client.start { result in
            switch result {
            case .success:
                // Only now: a mistyped host leaves earlier results as they were.
                do throws(UVError) {
                    try files.open()
                    announce(client)
                } catch {
                    problem = error
                    client.stop()
                }
            case .failure(let error):
                problem = error
                client.stop()
            }
        }
        loop.run()
        display.end()
        current = nil
        if let problem { throw problem }
        try loop.close()
        return client
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
struct TableDisplay {
    private static let rows = 12

    private let isTerminal = StandardStream.error.isTerminal
    private let showsTable: Bool
    private var drawnLines = 0
    private var nextLineAt: Instant?

    init(showsTable: Bool) { self.showsTable = showsTable }

    mutating func show(_ client: HoldClient, now: Instant) {
        guard isTerminal, showsTable else { return showLine(client, now: now) }
        let text = client.report.text(rows: TableDisplay.rows)
        // Lines that are too long are cut off: one that wraps would not be erased whole.
        StandardStream.error.write(erase + "\u{1B}[?7l" + text + "\u{1B}[?7h")
        drawnLines = text.count { $0 == "\n" }
    }

    /// Leaves the place to whatever is printed next.
    mutating func end() {
        if drawnLines > 0 { StandardStream.error.write(erase) }
        drawnLines = 0
    }

    private var erase: String { drawnLines > 0 ? "\u{1B}[\(drawnLines)A\u{1B}[J" : "" }

    private mutating func showLine(_ client: HoldClient, now: Instant) {
        if let nextLineAt, now < nextLineAt { return }
        defer { nextLineAt = now + .seconds(5) }
        if nextLineAt == nil { return }
        StandardStream.error.write(client.progress + "\n")
    }
}
