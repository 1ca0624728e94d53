import Pacing

/// How long this process did not get on, stopped or without a processor, although something was
/// due: time that nobody else is to be charged with.
struct OwnSleep: Sendable {
    /// Later than this, the process slept. As long it may take to read what has come meanwhile.
    static let stall = Duration.milliseconds(5)

    /// Rather too long than too short.
    private(set) var total = Duration.zero
    /// The longest without a break.
    private(set) var longest = Duration.zero
    /// The last moment at which the process was awake.
    private var lastSeen: Instant?

    /// What is given back to a wait that began when the process had slept for `sleptBefore`, and
    /// that may take `patience`.
    ///
    /// One stop is forgiven whole. But where a process is throttled for good, what comes meanwhile
    /// is read each time that it wakes: in all there is as much time again as there was, and not
    /// time without end.
    func forgiven(since sleptBefore: Duration, patience: Duration) -> Duration {
        min(total - sleptBefore, longest + patience)
    }

    /// The process is awake, and something was due at `due`.
    /// - Returns: how long it slept; nil where it did not.
    mutating func wake(now: Instant, due: Instant?) -> Duration? {
        defer { lastSeen = max(lastSeen ?? now, now) }
        guard let due, let lastSeen, now - due > OwnSleep.stall, now - lastSeen > OwnSleep.stall
        else { return nil }
        // When it fell asleep is not known: all of the time since it was last seen awake.
        let time = now - lastSeen + OwnSleep.stall
        total += time
        longest = max(longest, time)
        return time
    }
}
