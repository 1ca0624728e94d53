import Pacing

/// The longest of the recent round trips.
///
/// One hiccup must not make every later judgement more patient for ever; but silence is no news of
/// a shorter path. So only answers push older ones out: a period ends with the first answer after
/// `length` once it has had `leastCount`, and what counts are the period that runs and the one
/// before it.
struct RoundTripWindow: Sendable {
    private static let length = Duration.seconds(10)
    private static let leastCount = 16

    private var began: Instant?
    private var count = 0
    private var current: Duration?
    private var previous: Duration?

    /// Nil before the first answer.
    var longest: Duration? {
        guard let current, let previous else { return current ?? previous }
        return max(current, previous)
    }

    mutating func observe(_ trip: Duration, now: Instant) {
        if let began, count >= RoundTripWindow.leastCount, now - began >= RoundTripWindow.length {
            previous = current
            (current, count, self.began) = (nil, 0, now)
        }
        began = began ?? now
        count += 1
        current = max(current ?? trip, trip)
    }
}
