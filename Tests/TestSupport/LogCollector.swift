import Logging
import Synchronization

/// Keeps what is logged, for tests to read.
public final class LogCollector: Sendable {
    private let collected = Mutex<[String]>([])

    public init() {}

    public var lines: [String] { collected.withLock { $0 } }

    /// Whether some line contains this.
    public func has(_ text: String) -> Bool { lines.contains { $0.contains(text) } }

    public var logger: Logger { Logger(label: "test") { [self] _ in Handler(collector: self) } }

    private struct Handler: LogHandler {
        let collector: LogCollector
        var logLevel = Logger.Level.info
        var metadata: Logger.Metadata = [:]

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            collector.collected.withLock { $0.append("\(event.message)") }
        }
    }
}
