import ArgumentParser
import NetworkPolicy
import Pacing
import Reactor
import Telemetry

struct NetworkPolicyDemoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "A whole measurement on this machine: no cluster, no privileges.",
        discussion: """
            Starts a proxy, client pods and targets on loopback addresses, creates policies on a \
            known schedule, and compares what the instrument reports with what really happened. \
            Exits 1 when a policy was not detected or its bounds do not hold the truth. Ctrl-C \
            ends it early with the results that there are, and exit code 130.
            """)

    @Option(
        help: ArgumentHelp("Client pods.", valueName: "count"))
    var clients: PositiveCount = 20

    @Option(
        help: ArgumentHelp("Policies; each opens one target.", valueName: "count"))
    var policies: PositiveCount = 200

    @Option(help: ArgumentHelp("Policies created per second.", valueName: "number"))
    var rate = 50.0

    @Option(
        name: .customLong("json"),
        help: ArgumentHelp(
            "Write the summary and every policy's moments to a file.", valueName: "file"))
    var jsonPath: String?

    @Option(
        name: .customLong("report"),
        help: ArgumentHelp(
            "Write a page with charts to a file: self-contained HTML.", valueName: "file"))
    var reportPath: String?

    @OptionGroup(title: "Probing") var probing: ProbingOptions

    func validate() throws {
        let (clients, policies) = (clients.count, policies.count)
        guard rate > 0, rate.isFinite else {
            throw ValidationError("--rate \(rate): expected a number above zero")
        }
        guard clients <= 1000 else {
            throw ValidationError("--clients \(clients): expected at most 1000")
        }
        guard policies <= 10_000 else {
            throw ValidationError("--policies \(policies): expected at most 10000")
        }
        guard probing.expect == .allow else {
            throw ValidationError("--expect deny: the demo opens targets; expected allow")
        }
        try ResultFiles.checkDistinct(["--report": reportPath, "--json": jsonPath])
        let needed = policies + clients * 32 + 512
        guard needed <= EventLoop.descriptorLimit else {
            throw ValidationError(
                "--policies \(policies): \(needed) file descriptors are needed, the limit is "
                    + "\(EventLoop.descriptorLimit) (see ulimit -n)")
        }
    }

    mutating func run() throws {
        var configuration = DemoConfiguration()
        configuration.clients = min(clients.count, policies.count)
        configuration.policies = policies.count
        configuration.rate = rate
        configuration.probing = try probing.clientConfiguration()
        if let seed = probing.seed { configuration.seed = seed }
        let files = ResultFiles([jsonPath, reportPath])
        do throws(UVError) {
            try files.open()
        } catch {
            throw Failure(error)
        }
        let began = WallClock(nanosecondsSinceEpoch: EventLoop.wallClockNanoseconds)
        let report = try measure(configuration)
        files.write(jsonPath) { report.json }
        files.write(reportPath) { NetworkPolicyDemoPage(report: report, began: began).page.html }
        try files.finish(report.text)
        // As a shell says it of a program that a signal has ended.
        if report.isInterrupted { throw ExitCode(130) }
        if !report.isGood { throw ExitCode(1) }
    }

    private func measure(_ configuration: DemoConfiguration) throws -> DemoReport {
        var display = ProgressDisplay()
        var outcome: Result<DemoReport, DemoFailure>?
        do throws(UVError) {
            let loop = try EventLoop()
            let demo = Demo(
                loop: loop, configuration: configuration,
                onProgress: { display.show(DemoProgressLine.text($0), now: loop.now) },
                onEnd: { outcome = $0 })
            let signals = try [SignalSource.interrupt, SignalSource.terminate].map {
                (signal: Int32) throws(UVError) in
                try SignalSource(loop: loop, signal: signal) { demo.cancel() }
            }
            try demo.start()
            loop.run()
            for signal in signals { signal.close() }
            try loop.close()
        } catch {
            display.end()
            throw Failure(error)
        }
        display.end()
        switch outcome {
        case .success(let report): return report
        case .failure(let failure): throw Failure.failed("\(failure)")
        case nil: throw Failure.failed("the measurement came to no end")
        }
    }
}

/// The line that is drawn while a demo runs.
enum DemoProgressLine {
    static func text(_ progress: DemoProgress) -> String {
        let width = 30
        let done = progress.policies == 0 ? width : width * progress.detected / progress.policies
        let bar =
            String(repeating: "#", count: done) + String(repeating: ".", count: width - done)
        return "\(progress.phase) [\(bar)] policies \(progress.created)/\(progress.policies), "
            + "open \(progress.opened), detected \(progress.detected)"
    }
}
