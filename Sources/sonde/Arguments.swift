import ArgumentParser
import Logging
import Pacing
import Reactor
import Telemetry

/// A length of time above zero, in Go's syntax.
struct PositiveDuration: ExpressibleByArgument {
    var duration: Duration

    init(_ duration: Duration) { self.duration = duration }

    init?(argument: String) {
        guard let parsed = GoDuration(argument), parsed.duration > .zero else { return nil }
        duration = parsed.duration
    }

    var defaultValueDescription: String { GoDuration(duration).description }
}

/// A length of time in Go's syntax that may be zero.
struct NonnegativeDuration: ExpressibleByArgument {
    var duration: Duration

    init(_ duration: Duration) { self.duration = duration }

    init?(argument: String) {
        guard let parsed = GoDuration(argument), parsed.duration >= .zero else { return nil }
        duration = parsed.duration
    }

    var defaultValueDescription: String { GoDuration(duration).description }
}

/// A length of time, or two with `..` between them for a random one: `5s`, `20s..60s`, `0`.
struct DurationRange: ExpressibleByArgument {
    var range: ClosedRange<Duration>

    init(_ range: ClosedRange<Duration>) { self.range = range }

    init?(argument: String) {
        guard let dots = argument.firstRange(of: "..") else {
            guard let one = NonnegativeDuration(argument: argument) else { return nil }
            range = one.duration...one.duration
            return
        }
        guard let low = NonnegativeDuration(argument: String(argument[..<dots.lowerBound])),
            let high = NonnegativeDuration(argument: String(argument[dots.upperBound...])),
            low.duration <= high.duration
        else { return nil }
        range = low.duration...high.duration
    }

    var defaultValueDescription: String {
        let (low, high) = (GoDuration(range.lowerBound), GoDuration(range.upperBound))
        return low == high ? "\(low)" : "\(low)..\(high)"
    }
}

/// A whole number of at least one.
struct PositiveCount: ExpressibleByArgument, ExpressibleByIntegerLiteral {
    var count: Int

    init(integerLiteral value: Int) { count = value }

    init?(argument: String) {
        guard let count = Int(argument), count > 0 else { return nil }
        self.count = count
    }

    var defaultValueDescription: String { "\(count)" }
}

/// A number of bytes: `65536`, or with a unit of 1,024s, `64KiB`, `512MiB`, `2GiB`.
struct ByteSize: ExpressibleByArgument {
    private static let units: [(name: String, shift: Int)] = [
        ("KiB", 10), ("MiB", 20), ("GiB", 30), ("", 0),
    ]

    var bytes: Int64

    init(_ bytes: Int64) { self.bytes = bytes }

    init?(argument: String) {
        guard let unit = ByteSize.units.first(where: { argument.hasSuffix($0.name) }),
            let count = Int64(argument.dropLast(unit.name.count)), count > 0,
            count <= Int64.max >> unit.shift
        else { return nil }
        bytes = count << unit.shift
    }

    var defaultValueDescription: String {
        for unit in ByteSize.units.reversed() where unit.shift > 0 {
            if bytes % (1 << unit.shift) == 0 { return "\(bytes >> unit.shift)\(unit.name)" }
        }
        return "\(bytes)"
    }
}

/// An IP address with a port; an empty host stands for every address.
extension SocketAddress: ExpressibleByArgument {
    /// As on the command line.
    public init?(argument: String) { self.init(argument) }
}

/// An IPv4 or IPv6 address.
extension IPAddress: ExpressibleByArgument {
    /// As on the command line.
    public init?(argument: String) { self.init(argument) }
}

/// A block of addresses; bits behind the prefix are dropped.
extension CIDR: ExpressibleByArgument {
    /// As on the command line.
    public init?(argument: String) { self.init(argument) }
}

/// What was expected where a value is wrong, by the name that the flag's help gives to its value.
enum Expectation {
    private static let known = [
        "duration": "a duration above zero, such as 100ms, 1.5s or 1m30s",
        "time-range": "a duration such as 5s, or two such as 20s..60s",
        "size": "a number of bytes above zero, such as 65536, 64MiB or 1GiB",
        "url": "http://host[:port][/path]",
        "seed": "a whole number",
        "time": "a duration such as 0s, 500ms or 1m30s",
        "host:port":
            "an IP address or a name with a port, such as 10.0.0.7:1337, [fd00::7]:1337 or "
            + "target.example:1337",
        "address": "an IPv4 or IPv6 address",
        "cidr": "a block of addresses, such as 10.0.0.0/8 or fd00::/8",
        "condition":
            "a figure, a comparison and a number with its unit, such as 'delayms > 200ms'",
        "port": "a port from 0 to 65535",
        "count": "a whole number above zero",
        "number": "a number",
        "time=command": "a time after the start and a command, such as '2s=nginx -s reload'",
        "address:port": "an address with a port, such as 0.0.0.0:9001, [::1]:9001 or :9001",
    ]

    /// Completes the parser's own line, `The value 'x' is invalid for '--flag <name>'`.
    static func complete(_ message: String) -> String {
        for (name, expected) in known where message.hasSuffix("<\(name)>'") {
            return "\(message): expected \(expected)"
        }
        return message
    }
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
            "How long to finish what is under way after SIGTERM.", valueName: "duration"))
    var grace = PositiveDuration(.seconds(5))

}
