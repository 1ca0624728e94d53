import Pacing
import Reactor

/// Progress on standard error: one line drawn over and over on a terminal, one a second elsewhere.
struct ProgressDisplay {
    private let isTerminal = StandardStream.error.isTerminal
    private var nextAt = Instant(nanoseconds: 0)
    private var isDrawn = false

    mutating func show(_ line: String, now: Instant) {
        guard now >= nextAt else { return }
        nextAt = now + (isTerminal ? .milliseconds(50) : .seconds(1))
        if isTerminal {
            StandardStream.error.write("\r\u{1B}[K\(line)")
            isDrawn = true
        } else {
            StandardStream.error.write(line + "\n")
        }
    }

    /// Leaves an empty line to whatever is printed next.
    mutating func end() {
        if isDrawn { StandardStream.error.write("\r\u{1B}[K") }
        isDrawn = false
    }
}
