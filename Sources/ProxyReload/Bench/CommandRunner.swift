import Pacing
import Reactor

/// Runs the configured commands at their times and tells the timeline how they went.
final class CommandRunner {
    private unowned let bench: Bench
    private var timers: [Timer] = []
    private var running: [Int: ChildProcess] = [:]
    /// The events of those that run; nil for one without a number.
    private var events: [Int: Int?] = [:]
    private var nextIdentifier = 0
    private var graceTimer: Timer?
    private var completion: (() -> Void)?

    init(bench: Bench) { self.bench = bench }

    /// Whether a command runs now: its output may be on the terminal.
    var isRunning: Bool { !running.isEmpty }

    func schedule(_ commands: [ScheduledCommand], from origin: Instant) {
        timers = commands.map { command in
            let timer = Timer(loop: bench.loop) { [unowned self] in run(command.command) }
            timer.schedule(at: origin + command.after)
            return timer
        }
    }

    func cancelScheduled() {
        for timer in timers { timer.close() }
        timers = []
    }

    /// Waits for what is still running, kills it after `grace`, and calls back.
    func finish(grace: Duration, _ completion: @escaping () -> Void) {
        if running.isEmpty { return completion() }
        self.completion = completion
        let timer = Timer(loop: bench.loop) { [unowned self] in
            for child in running.values { child.signal(ChildProcess.kill) }
        }
        graceTimer = timer
        timer.schedule(after: grace)
    }

    /// Kills what is still running, without waiting for it.
    func abandon() {
        completion = nil
        graceTimer?.close()
        graceTimer = nil
        cancelScheduled()
        for (identifier, child) in running {
            child.close()
            let result = "still running at the end, and killed"
            bench.endEvent(events[identifier] ?? nil, result, isGood: false)
        }
        running = [:]
    }

    private func run(_ command: String) {
        let event = bench.beginEvent(command)
        let began = bench.elapsed
        let name = "event \(event.map { "\($0 + 1)" } ?? "without number")"
        bench.onLog("\(name) at \(BenchText.seconds(began)): \(command)")
        let identifier = nextIdentifier
        nextIdentifier += 1
        events[identifier] = event
        do throws(UVError) {
            running[identifier] = try ChildProcess(
                loop: bench.loop, command: command, output: .standardError
            ) { [unowned self] exit in
                running[identifier] = nil
                bench.endEvent(event, exit.description, isGood: exit.isSuccess)
                let took = BenchText.milliseconds(bench.elapsed - began)
                bench.onLog(
                    "\(name) \(exit.isSuccess ? "ended" : "FAILED") after \(took): \(exit)")
                if running.isEmpty { ended() }
            }
        } catch {
            bench.endEvent(event, error.description, isGood: false)
            bench.onLog("\(name) FAILED: \(error)")
        }
    }

    private func ended() {
        graceTimer?.close()
        graceTimer = nil
        let completion = self.completion
        self.completion = nil
        completion?()
    }
}
