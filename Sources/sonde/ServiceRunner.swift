import Instrument
import Logging
import Pacing
import Reactor

/// Runs a service until SIGTERM or SIGINT, lets it finish what is under way, and returns.
func runService(
    _ options: ServiceOptions, _ make: (EventLoop, Logger) throws -> any Service
) throws {
    try runService(logLevel: options.logLevel, grace: options.grace.duration, make)
}

/// As above, for a role that has these flags with other defaults.
func runService(
    logLevel: LogLevel, grace: Duration, _ make: (EventLoop, Logger) throws -> any Service
) throws {
    do {
        let loop = try EventLoop()
        var logger = Logger(label: "sonde") { _ in GoStyleLog() }
        logger.logLevel = logLevel.level
        let service = try make(loop, logger)
        var isEnding = false
        let end = {
            // A second signal means now.
            guard !isEnding else { return loop.stop() }
            isEnding = true
            service.drain(grace: grace) { loop.stop() }
        }
        let signals = try [SignalSource.terminate, SignalSource.interrupt].map {
            try SignalSource(loop: loop, signal: $0, onSignal: end)
        }
        // After the signals: who reads that it listens may end it at once.
        try service.start()
        loop.run()
        for signal in signals { signal.close() }
    } catch let error as UVError {
        throw Failure(error)
    }
}
