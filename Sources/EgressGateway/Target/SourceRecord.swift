import Logging
import Pacing
import Reactor
import Telemetry

/// The timeline of sources: one line of CSV for each connection, collected and written a few times
/// a second, so that a burst of connections does not wait for the disk.
final class SourceRecord {
    private static let flushInterval = Duration.milliseconds(200)
    private static let flushBytes = 64 << 10

    private let file: OutputFile
    private let path: String
    private let logger: Logger
    private let timer: Timer
    private var buffer = Array("time,source,port,answered\n".utf8)
    /// Lines that could not be written.
    private(set) var lost = 0
    private var buffered = 0

    /// - Throws: ``UVError`` when the file cannot be made.
    init(loop: EventLoop, path: String, logger: Logger) throws(UVError) {
        file = try OutputFile(path: path)
        self.path = path
        self.logger = logger
        var fire: () -> Void = {}
        timer = Timer(loop: loop) { fire() }
        timer.setKeepsLoopAlive(false)
        fire = { [unowned self] in flush() }
        flush()
    }

    func append(_ source: SocketAddress, isAnswered: Bool) {
        if buffered == 0 { timer.schedule(after: SourceRecord.flushInterval) }
        buffered += 1
        WallClock(nanosecondsSinceEpoch: EventLoop.wallClockNanoseconds)
            .appendRFC3339(to: &buffer)
        buffer.append(UInt8(ascii: ","))
        buffer.append(contentsOf: source.ipAddress.description.utf8)
        buffer.append(contentsOf: ",\(source.port),\(isAnswered)\n".utf8)
        if buffer.count >= SourceRecord.flushBytes { flush() }
    }

    func close() {
        flush()
        timer.close()
        file.close()
    }

    private func flush() {
        timer.cancel()
        do throws(UVError) {
            try file.write(buffer)
        } catch {
            if lost == 0 { logger.error("Cannot record sources in \(path): \(error.reason)") }
            lost += buffered
        }
        buffer.removeAll(keepingCapacity: true)
        buffered = 0
    }
}
