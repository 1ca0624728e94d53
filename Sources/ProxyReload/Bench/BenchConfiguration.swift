import Pacing
import Reactor

/// What a bench does.
public struct BenchConfiguration: Sendable {
    /// Where requests go.
    public var url: BenchURL
    /// The Host field, instead of the URL's own host and port.
    public var host: String?
    /// How many clients; each has one connection.
    public var clients = 10
    /// For how long requests begin; nil until it is stopped.
    public var duration: Duration?
    /// After how many requests it ends; nil for any number.
    public var requests: Int?
    /// Requests a second by all clients together (open loop), up to ``highestRate``; nil for the
    /// closed loop, where every client's next request follows its last answer.
    public var rate: Double?
    /// For a request as a whole, connecting included.
    public var timeout = Duration.seconds(5)
    /// The longest window of an event.
    public var window = Duration.seconds(10)
    /// Where the rows go; nil for nowhere.
    public var csvPath: String? = "data.csv"
    /// In which unit the rows' times are.
    public var csvUnit = CSVUnit.microseconds
    /// How long the target's first answer of status 200 is waited for before the test begins; nil
    /// to begin at once.
    public var waitForTarget: Duration?
    /// Whether every request is also a line on standard output.
    public var printsRows = false
    /// What is done to the proxy, and when.
    public var commands: [ScheduledCommand] = []
    /// How long commands that are still running at the end are waited for; then they are killed.
    public var grace = Duration.seconds(2)

    /// So many bytes of rows may wait for the disk before clients do.
    var highWaterBytes = 16 << 20

    /// The highest rate, in requests a second.
    public static let highestRate = 1_000_000.0

    /// Everything else at its default.
    public init(url: BenchURL) { self.url = url }
}

/// Why a bench could not do its work.
public enum BenchFailure: Error, CustomStringConvertible {
    /// The rows cannot be written, or the host is not known.
    case system(UVError)
    /// The configuration asks for what cannot be sent.
    case usage(String)
    /// The target was waited for and never answered well.
    case unavailable(String)

    public var description: String {
        switch self {
        case .system(let error): error.description
        case .usage(let text), .unavailable(let text): text
        }
    }
}
