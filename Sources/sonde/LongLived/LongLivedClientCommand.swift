import ArgumentParser
import LongLived
import Pacing
import Reactor

struct LongLivedClientCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "client",
        abstract: "Hold connections with a request in flight on each, and count answers by pod.",
        discussion: """
            It runs until --requests or --duration is reached, or SIGINT. Piped, it writes a line \
            `Response from Pod <id> …` for each response; on a terminal it draws the table. The \
            last thing on standard output is the table: counts, share and open connections of \
            each pod, how even that is, what failed, latencies, and which pod had less than its \
            fair share for how long.

            Lines that nobody reads fast enough hold the client up: --quiet does without them.

            A pod is known by the field Pod-Id, else by a text `Response from Pod <id>`. It shares \
            the answers while it is alive: it answers, or holds a connection; a name that is gone \
            does not count, but for as many pods as --pods promises. Exit code 1 with more \
            failures than --max-failures, or without any answer; 71 where this machine's own \
            trouble (names that do not resolve, descriptors, ports) was all there was.
            """)

    @Argument(help: ArgumentHelp("What to ask for: http://host[:port][/path].", valueName: "url"))
    var target: HoldTarget

    @Option(help: ArgumentHelp("Connections to hold.", valueName: "count"))
    var connections: PositiveCount = 1

    @Option(
        help: ArgumentHelp(
            "The pause between an answer and the next request on its connection.",
            valueName: "time-range"))
    var think = DurationRange(.seconds(1) ... .seconds(3))

    @Option(help: ArgumentHelp("Requests in all (default: no limit).", valueName: "count"))
    var requests: PositiveCount?

    @Option(help: ArgumentHelp("How long to go on (default: no limit).", valueName: "duration"))
    var duration: PositiveDuration?

    @Option(
        help: ArgumentHelp(
            """
            First wait so long for an answer with status 200, which is not counted; without one \
            it is exit code 69 (default: not at all).
            """, valueName: "duration"))
    var waitForTarget: PositiveDuration?

    @Option(
        help: ArgumentHelp("The longest an answer may take; 0 for any time.", valueName: "time"))
    var timeout = NonnegativeDuration(.seconds(120))

    @Option(
        help: ArgumentHelp(
            """
            So many pods share the answers, whether they answer or not (default: those alive).
            """, valueName: "count"))
    var pods: PositiveCount?

    @Option(
        help: ArgumentHelp(
            """
            More failures than this are exit code 1; the client goes on all the same. This \
            machine's own trouble does not count.
            """, valueName: "number"))
    var maxFailures = 0

    @Option(help: ArgumentHelp("Decides about the pauses (default: the clock).", valueName: "seed"))
    var seed: UInt64?

    @OptionGroup(title: "Connecting") var opening: OpeningOptions
    @OptionGroup(title: "Output") var output: HoldOutputOptions
    @OptionGroup(title: "Metrics") var metrics: SecuredMetricsOptions

    func validate() throws {
        if let first = opening.sourceAddr.first {
            for source in opening.sourceAddr where source.isIPv6 != first.isIPv6 {
                throw ValidationError(
                    "--source-addr \(source): expected addresses of one family, like \(first)")
            }
            let room = opening.perSource.count.multipliedReportingOverflow(
                by: opening.sourceAddr.count)
            guard room.overflow || room.partialValue >= connections.count else {
                throw ValidationError(
                    "--connections \(connections.count): expected at most "
                        + "\(opening.perSource.count) for each --source-addr (see --per-source)")
            }
        }
        guard maxFailures >= 0 else {
            throw ValidationError("--max-failures \(maxFailures): expected zero or more")
        }
        if let rate = opening.openRate, !(rate > 0 && rate.isFinite) {
            throw ValidationError("--open-rate \(rate): expected a number above zero")
        }
    }

    mutating func run() throws {
        EventLoop.raiseDescriptorLimit()
        let needed = connections.count + HoldClientConfiguration.reservedDescriptors
        guard needed <= EventLoop.descriptorLimit else {
            throw Failure.usage(
                "--connections \(connections.count): \(needed) file descriptors are needed, the "
                    + "limit is \(EventLoop.descriptorLimit) (see ulimit -n, or use more processes)"
            )
        }
        let client = try HoldRun(
            configuration: configuration(), output: output, metrics: metrics,
            waitLimit: waitForTarget?.duration
        ).run()
        if client.remoteFailureCount > maxFailures {
            throw Failure.failed(
                "\(client.remoteFailureCount) failures, more than --max-failures \(maxFailures)")
        }
        guard client.answeredCount == 0 else { return }
        if client.remoteFailureCount == 0, let first = client.report.failures.first {
            throw Failure.system(
                "no answer at all, and not for the target's sake: \(first.example)")
        }
        throw Failure.failed("no answer at all")
    }

    private func configuration() -> HoldClientConfiguration {
        var configuration = HoldClientConfiguration(target: target)
        configuration.connections = connections.count
        configuration.think = think.range
        configuration.requests = requests?.count
        configuration.duration = duration?.duration
        configuration.timeout = timeout.duration == .zero ? nil : timeout.duration
        configuration.seed = seed ?? UInt64(bitPattern: EventLoop.wallClockNanoseconds)
        configuration.openRate = opening.openRate
        configuration.dialing = opening.openConcurrency.count
        configuration.connectTimeout = opening.connectTimeout.duration
        configuration.resolveInterval = opening.resolveEvery?.duration
        configuration.pods = pods?.count
        configuration.sources = opening.sourceAddr
        configuration.perSource = opening.perSource.count
        return configuration
    }
}

struct OpeningOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Connections opened a second (default: no limit).", valueName: "number"))
    var openRate: Double?

    @Option(help: ArgumentHelp("Dials under way at once.", valueName: "count"))
    var openConcurrency: PositiveCount = 64

    @Option(help: ArgumentHelp("The longest a dial may take.", valueName: "duration"))
    var connectTimeout = PositiveDuration(.seconds(5))

    @Option(
        help: ArgumentHelp(
            """
            Connect from this address; may be repeated (default: as the kernel likes; to a \
            loopback target, from 127.0.0.1, 127.0.0.2, … when one does not suffice).
            """, valueName: "address"))
    var sourceAddr: [IPAddress] = []

    @Option(
        help: ArgumentHelp(
            "Connections from one source at most; more get slow to open.", valueName: "count"))
    var perSource: PositiveCount = 10_000

    @Option(
        help: ArgumentHelp(
            "Look the name up so often, for new connections (default: once).",
            valueName: "duration"))
    var resolveEvery: PositiveDuration?
}

struct HoldOutputOptions: ParsableArguments {
    @Flag(help: "No line for each response.")
    var quiet = false

    @Option(
        name: .customLong("json"),
        help: ArgumentHelp("Write all figures and the series there.", valueName: "file"))
    var jsonPath: String?

    @Option(
        name: .customLong("csv"),
        help: ArgumentHelp("Write the series there, one line a second.", valueName: "file"))
    var csvPath: String?

    @Option(
        name: .customLong("report"),
        help: ArgumentHelp(
            "Write a page with charts to a file: self-contained HTML.", valueName: "file"))
    var reportPath: String?

    func validate() throws {
        try ResultFiles.checkDistinct(
            ["--json": jsonPath, "--csv": csvPath, "--report": reportPath])
    }
}

extension HoldTarget: ExpressibleByArgument {
    /// As on the command line.
    public init?(argument: String) { self.init(argument) }
}
