import Reactor
@_exported import TestSupport

/// Sends every byte back and closes after the peer's FIN.
func echo(_ connection: TCPConnection) {
    connection.onRead = { $0.write($1) }
    connection.onEnd = { connection, _ in connection.closeAfterWriting() }
    connection.resumeReading()
}
