/// Decides which of many equal log lines are printed: per target the 1st, 2nd, 3rd, 10th and 100th,
/// then every 1000th. A run of an hour leaves a readable log, and none of its kinds goes unseen.
public struct LogLineLimiter<Target: Hashable> {
    private var occurrences: [Target: Int] = [:]

    /// Nothing has occurred yet. It keeps one counter for each target that it ever meets.
    public init() {}

    /// Counts one more occurrence for `target`; returns its number when it is to be printed.
    public mutating func occur(_ target: Target) -> Int? {
        let count = occurrences[target, default: 0] + 1
        occurrences[target] = count
        return LogLineLimit.isPrinted(occurrence: count) ? count : nil
    }

    /// Starts counting anew for all targets.
    public mutating func reset() { occurrences.removeAll() }
}

extension LogLineLimiter: Sendable where Target: Sendable {}

/// The rule alone, for those who count by themselves.
public enum LogLineLimit {
    /// Whether the occurrence with this number, counted from one, is printed.
    public static func isPrinted(occurrence: Int) -> Bool {
        switch occurrence {
        case 1, 2, 3, 10, 100: true
        default: occurrence > 0 && occurrence % 1000 == 0
        }
    }
}
