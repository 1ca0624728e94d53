import HTTPCodec
import Reactor

/// What an ``HTTPServer`` allows its peers. Every value has a default fit for an open network.
public struct HTTPServerConfiguration {
    /// Sizes of heads and content; see `HTTPLimits` for the defaults and their statuses.
    public var limits = HTTPLimits()
    /// From the first byte of a head (or from accepting) to its end; then 408, or a plain close
    /// where nothing has come. Not extended by trickling bytes.
    public var headTimeout = Duration.seconds(10)
    /// Between two pieces of content; then 408.
    public var bodyTimeout = Duration.seconds(30)
    /// From the first piece of content that is waited for to the last one, however steadily it
    /// trickles; then 408. Content that a handler takes in slices has no such end.
    public var bodyDuration = Duration.seconds(300)
    /// Content that is being collected, of all connections together, in bytes. What is longer than
    /// all of it is answered with 413, and what finds no room now with 503 and Retry-After.
    public var maximumBodyMemory: Int64 = 256 << 20
    /// Between two requests; then the connection closes, within an eighth of this.
    public var idleTimeout = Duration.seconds(60)
    /// How long a peer may take nothing of what is queued for it; then a reset.
    public var writeTimeout = Duration.seconds(60)
    /// How long a connection that is refused early is read to its end, so that the peer gets to
    /// see the answer (RFC 9112 §9.6).
    public var lingerTimeout = Duration.seconds(2)
    /// After this many requests a connection closes; nil for any number.
    public var maximumRequestsPerConnection: Int?
    /// The first answer after this long closes its connection, so that its client finds a server
    /// anew; nil for never. An idle connection stays: closing it could meet a request on its way.
    public var maximumConnectionAge: Duration?
    /// With this many connections open the server stops accepting: further peers wait in the
    /// kernel's backlog, which costs less than a 503 to each and loses nobody in a short peak.
    public var maximumConnections = 50_000
    /// Connections the kernel holds until they are accepted.
    public var backlog = 4096
    /// Lets several processes listen on the same port.
    public var reusesPort = false
    /// The value of the Date field (IMF-fixdate, RFC 9110 §6.6.1), asked for at most once a
    /// second. Nil leaves the field out, as a server without a clock does.
    public var date: (() -> String)?
    /// Told when content that was to be collected is turned away: with which status, and whose it
    /// is; nil for a peer that has gone. No handler hears of it.
    public var onContentRefused: ((_ status: Int, _ peer: SocketAddress?) -> Void)?

    /// Everything at its default.
    public init() {}

    /// How long a deadline runs from the moment at which it is ordered.
    func duration(of deadline: ServerConnectionMachine.Deadline) -> Duration? {
        switch deadline {
        case .none: nil
        case .head: headTimeout
        case .body: bodyTimeout
        case .idle: idleTimeout / Int(ServerConnectionMachine.idleRounds - 1)
        case .write: writeTimeout
        case .linger: lingerTimeout
        }
    }
}
