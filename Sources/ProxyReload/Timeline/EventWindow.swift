import Telemetry

/// What an event did: its window, compared with the period before it.
public struct EventWindow: Sendable {
    /// An instance that began or ceased to answer.
    public struct Change: Equatable, Sendable {
        /// Its number in the timeline's table.
        public var instance: UInt16
        /// From the event's start to its first or last answer, in nanoseconds.
        public var sinceStartNanoseconds: Int64
    }

    /// The event's place in the timeline.
    public let index: Int
    /// The event itself.
    public let event: TimelineEvent
    /// From the event's start to the next event, or as long as windows last.
    public let window: TimelinePeriod
    /// The period that ended with the event's start; nil where nothing was answered before.
    public let before: TimelinePeriod?
    /// First answers of instances that had never answered before.
    public private(set) var appeared: [Change] = []
    /// First answers of instances that had answered earlier, but not in the period before.
    public private(set) var returned: [Change] = []
    /// Last answers of instances that answered before and then no more.
    public private(set) var vanished: [Change] = []

    init(_ window: TimelinePeriod, index: Int, event: TimelineEvent, earlier: [TimelinePeriod]) {
        self.index = index
        self.event = event
        self.window = window
        let before = earlier.last { $0.requests > 0 }
        self.before = before
        for instance in window.instances.indices where window.instances[instance].answers > 0 {
            let number = UInt16(instance)
            let share = window.share(of: number)
            let change = { (moment: Int64) in
                Change(
                    instance: number, sinceStartNanoseconds: moment - window.startNanoseconds)
            }
            let answersBefore = before?.share(of: number).answers ?? 0
            if answersBefore == 0 {
                let isKnown = earlier.contains { $0.share(of: number).answers > 0 }
                if isKnown {
                    returned.append(change(share.firstNanoseconds))
                } else {
                    appeared.append(change(share.firstNanoseconds))
                }
            } else if let before,
                Self.isSilence(window.answers - share.answersUpToLast, answersBefore, before)
            {
                vanished.append(change(share.lastNanoseconds))
            }
        }
        addSilent(before)
    }

    /// Instances that did not answer once in the window: their last answer came before the event.
    /// Those that had vanished long before are an earlier event's affair.
    private mutating func addSilent(_ before: TimelinePeriod?) {
        guard let before else { return }
        for instance in before.instances.indices where before.instances[instance].answers > 0 {
            let number = UInt16(instance)
            let share = before.instances[instance]
            let others = before.answers - share.answersUpToLast
            guard window.share(of: number).answers == 0,
                !Self.isSilence(others, share.answers, before),
                Self.isSilence(others + window.answers, share.answers, before)
            else { continue }
            vanished.append(
                Change(
                    instance: number,
                    sinceStartNanoseconds: share.lastNanoseconds - window.startNanoseconds))
        }
    }

    /// Whether the silence after an instance's last answer, so many answers of others long, is no
    /// chance. With the share *s* of the answers before the event, *n* others in a row come by
    /// chance with probability (1 − *s*)ⁿ: below one in a million for *n* of 14 / *s*.
    private static func isSilence(
        _ others: Int, _ answersBefore: Int, _ before: TimelinePeriod
    ) -> Bool {
        guard answersBefore > 0 else { return false }
        return Double(others) >= max(20, 14 * Double(before.answers) / Double(answersBefore))
    }
}

extension ReloadTimeline {
    /// One for each event, in their order.
    public var windows: [EventWindow] {
        let periods = self.periods
        return periods.indices.compactMap { place in
            guard let index = periods[place].event else { return nil }
            return EventWindow(
                periods[place], index: index, event: events[index],
                earlier: Array(periods[..<place]))
        }
    }
}
