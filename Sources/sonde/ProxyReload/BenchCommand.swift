import ArgumentParser
import Logging
import Pacing
import ProxyReload
import Reactor
import Telemetry

/// `2s=COMMAND`.
extension ScheduledCommand: ExpressibleByArgument {
    /// As on the command line.
    public init?(argument: String) { self.init(argument) }
}

/// `us` or `ms`.
extension CSVUnit: ExpressibleByArgument {}

struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Send requests through a proxy and record each one while its routes change.",
        discussion: """
            Every client has one keep-alive connection and reconnects at once after a failure (10 \
            ms to 1 s later where connecting itself fails). Requests that fail are not repeated.

            The CSV file has a row for every request: time,client,status,instance,front port,back \
            port,latency,event. Times are microseconds since the start (--csv-unit ms: \
            milliseconds with three decimals, for readers of keepalive-bench): `time` is when the \
            answer \
            was there, time minus latency when the request began, or in the open loop when it was \
            due. The status is a number, or the failure in words; an empty cell is not known; the \
            event is the number of the latest one. Where standard output is no terminal, every \
            request is a line there, too. The last line counts: success is status 200; changed \
            means another source port than that of the same client's request before.

            What this machine could not send (no descriptor, no port) is a row, but no failure.

            SIGUSR1 sets a mark, an event without a command. Control-C ends the test and prints \
            the summary; a second one does not wait for answers. Exit code 1 when no request had \
            status 200, or the command of an event failed; 71 when this machine could send none.
            """)

    @Argument(help: "Where to send requests: http://host:port/path.")
    var url: String

    @Option(help: ArgumentHelp("Clients, one connection each.", valueName: "count"))
    var clients: PositiveCount = 10

    @Option(
        help: ArgumentHelp(
            "For how long requests begin (default: until Control-C).", valueName: "duration"))
    var duration: PositiveDuration?

    @Option(
        help: ArgumentHelp(
            "End after so many requests (default: no limit).", valueName: "count"))
    var requests: PositiveCount?

    @Option(
        help: ArgumentHelp(
            """
            Open loop: so many requests a second by all clients together, each with its time; \
            latency counts from then (default: closed loop).
            """, valueName: "number"))
    var rate: Double?

    @Option(
        help: ArgumentHelp(
            "For a request as a whole, connecting included.", valueName: "duration"))
    var timeout = PositiveDuration(.seconds(5))

    @Option(help: ArgumentHelp("The Host field (default: the URL's).", valueName: "name"))
    var host: String?

    @Option(
        help: ArgumentHelp(
            "Run COMMAND (by /bin/sh) at a time after the start; may be repeated.",
            valueName: "time=command"))
    var event: [ScheduledCommand] = []

    @Option(
        help: ArgumentHelp(
            "The longest time after an event that its figures cover.", valueName: "duration"))
    var window = PositiveDuration(.seconds(10))

    @Option(help: ArgumentHelp("Where the rows go.", valueName: "file"))
    var csv = "data.csv"

    @Option(help: "In which unit the rows' times are: us or ms.")
    var csvUnit = CSVUnit.microseconds

    @Option(
        help: ArgumentHelp(
            "Wait as long for the target's first answer of status 200; not counted.",
            valueName: "time"))
    var waitForTarget = NonnegativeDuration(.zero)

    @Option(
        name: .customLong("json"),
        help: ArgumentHelp("Write the summary to a file, too.", valueName: "file"))
    var jsonPath: String?

    @Option(
        name: .customLong("report"),
        help: ArgumentHelp(
            "Write a page with charts to a file: self-contained HTML.", valueName: "file"))
    var reportPath: String?

    @Flag(help: "No line for each request, and no live display: only the summary.")
    var quiet = false

    @OptionGroup(title: "Metrics") var metrics: SecuredMetricsOptions

    func validate() throws {
        if let rate, !(rate > 0 && rate <= BenchConfiguration.highestRate) {
            throw ValidationError(
                "--rate \(rate): expected a number above zero, at most 1000000")
        }
        try ResultFiles.checkDistinct(["--csv": csv, "--json": jsonPath, "--report": reportPath])
        if let end = duration?.duration, let late = event.first(where: { $0.after >= end }) {
            throw ValidationError(
                "--event \(GoDuration(late.after))=\(late.command): comes after the end "
                    + "(--duration \(GoDuration(end)))")
        }
    }

    mutating func run() throws {
        let outputs = ResultFiles([jsonPath, reportPath], streamed: csv)
        var configuration = try self.configuration()
        configuration.printsRows =
            !quiet && !StandardStream.output.isTerminal && !outputs.takesStandardOutput
        EventLoop.raiseDescriptorLimit()
        let needed = configuration.clients + 64
        guard needed <= EventLoop.descriptorLimit else {
            throw Failure.usage(
                "--clients \(configuration.clients): \(needed) file descriptors are needed, the "
                    + "limit is \(EventLoop.descriptorLimit) (see ulimit -n)")
        }
        let began = WallClock(nanosecondsSinceEpoch: EventLoop.wallClockNanoseconds)
        let report = try BenchRunner(
            configuration: configuration, isQuiet: quiet, outputs: outputs, metrics: metrics
        ).run()
        outputs.write(jsonPath) { report.json }
        outputs.write(reportPath) { ReloadPage(report: report, began: began).page.html }
        try outputs.finish(report.text)
        if let failure = report.recordingFailure { throw Failure.system(failure) }
        try judge(report)
    }

    /// Everything has been written; now whether it is what was asked for.
    private func judge(_ report: BenchReport) throws {
        let total = report.timeline.total
        if total.localCount > 0, total.localCount == total.requests {
            throw Failure.system("no request could be sent (local: see the summary)")
        }
        if let event = report.failedEvents.first {
            throw Failure.failed(
                "\(report.failedEvents.count) of \(report.timeline.events.count) events failed, "
                    + "the first at \(GoDuration(.nanoseconds(event.startNanoseconds))): "
                    + "\(event.command): \(event.result); what was measured is written")
        }
        if report.timeline.uncountedFailures > 0 {
            throw Failure.failed(
                "\(report.timeline.uncountedFailures) events after the first "
                    + "\(ReloadTimeline.eventLimit) failed; what was measured is written")
        }
        if total.successes == 0 { throw ExitCode(1) }
    }

    private func configuration() throws -> BenchConfiguration {
        let parsed: BenchURL
        do throws(BenchURL.Problem) {
            parsed = try BenchURL(url)
        } catch {
            throw Failure.usage("\(url): \(error)")
        }
        var configuration = BenchConfiguration(url: parsed)
        configuration.clients = clients.count
        configuration.duration = duration?.duration
        configuration.requests = requests?.count
        configuration.rate = rate
        configuration.timeout = timeout.duration
        configuration.host = host
        configuration.window = window.duration
        configuration.csvPath = csv
        configuration.csvUnit = csvUnit
        configuration.waitForTarget = waitForTarget.duration > .zero ? waitForTarget.duration : nil
        configuration.commands = event
        return configuration
    }
}
