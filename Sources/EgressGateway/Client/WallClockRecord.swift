import Pacing
import Telemetry

/// What the wall clock said at moments of the loop's clock, as it was then: when somebody sets it
/// later, what was told of a moment stays.
struct WallClockRecord: Sendable {
    /// The two clocks go apart by themselves, because the wall clock is being disciplined. Less
    /// than this is not kept.
    private static let tolerance = Duration.microseconds(500)
    /// Of a clock that is pulled along hard, the oldest readings are forgotten.
    private static let limit = 1024

    private var readings: [(moment: Instant, wall: WallClock)] = []

    /// Notes a reading taken now; `now` never goes back.
    mutating func note(_ wall: WallClock, at now: Instant) {
        if let last = readings.last {
            let drift = wall - (last.wall + (now - last.moment))
            guard max(drift, .zero - drift) > WallClockRecord.tolerance else { return }
        }
        if readings.count == WallClockRecord.limit {
            readings.removeFirst(WallClockRecord.limit / 2)
        }
        readings.append((now, wall))
    }

    /// By the last reading before or at the moment, or else the first after it; nil without any.
    func wallClock(of moment: Instant) -> WallClock? {
        guard let reading = readings.last(where: { $0.moment <= moment }) ?? readings.first else {
            return nil
        }
        return reading.wall + (moment - reading.moment)
    }
}
