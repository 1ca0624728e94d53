import ArgumentParser
import Logging
import Pacing
import Reactor
import Telemetry

/// A length of time on the command line, in Go's syntax.
func parseDuration(_ text: String) throws -> Duration {
    do {
        return try GoDuration(parsing: text).duration
    } catch {
        throw ValidationError("\(error)")
    }
}

/// A length of time that must not be zero or negative.
func parsePositiveDuration(_ text: String) throws -> Duration {
    let duration = try parseDuration(text)
    guard duration > .zero else {
        throw ValidationError("expected a duration above zero, such as 100ms")
    }
    return duration
}

/// A count of at least one.
func parsePositiveCount(_ text: String) throws -> Int {
    guard let count = Int(text), count > 0 else {
        throw ValidationError("expected a whole number above zero")
    }
    return count
}

/// An address to listen on.
func parseListenAddress(_ text: String) throws -> SocketAddress {
    guard let address = SocketAddress(text) else {
        throw ValidationError("expected address:port, such as 0.0.0.0:9001, [::]:9001 or :9001")
    }
    return address
}

/// A block of addresses.
func parseCIDR(_ text: String) throws -> CIDR {
    guard let block = CIDR(text) else {
        throw ValidationError("expected a CIDR block, such as 10.0.0.0/8 or fd00::/8")
    }
    return block
}

/// How much a role writes to its log.
enum LogLevel: String, CaseIterable, ExpressibleByArgument {
    case debug, info, warning, error

    var level: Logger.Level {
        switch self {
        case .debug: .debug
        case .info: .info
        case .warning: .warning
        case .error: .error
        }
    }
}

/// Flags that every role of every instrument has.
struct ServiceOptions: ParsableArguments {
    @Option(help: "What to log: debug (every probe and request), info, warning or error.")
    var logLevel = LogLevel.info

    @Option(
        help: ArgumentHelp(
            "How long to finish what is under way after SIGTERM.", valueName: "duration"),
        transform: parseDuration)
    var grace: Duration = .seconds(5)

    func logger(_ loop: EventLoop, label: String) -> Logger {
        var logger = Logger(label: label) { _ in GoStyleLog() }
        logger.logLevel = logLevel.level
        return logger
    }
}
