import Logging
import Reactor
import Telemetry

/// Writes log lines as Go's standard logger does, `2006/01/02 15:04:05 message` in UTC to standard
/// error: the lines that people who run these pods grep for.
struct GoStyleLog: LogHandler {
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var line: [UInt8] = []
        WallClock(nanosecondsSinceEpoch: EventLoop.wallClockNanoseconds).appendLogPrefix(to: &line)
        line.append(contentsOf: event.message.description.utf8)
        for (key, value) in metadata.merging(event.metadata ?? [:], uniquingKeysWith: { $1 })
            .sorted(by: { $0.key < $1.key })
        {
            line.append(contentsOf: " \(key)=\(value)".utf8)
        }
        line.append(UInt8(ascii: "\n"))
        StandardStream.error.write(line)
    }
}
