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
    /// First answers of instances that had answered earlier and then vanished.
    public private(set) var returned: [Change] = []
    /// Last answers of instances that answered before and then no more.
    public private(set) var vanished: [Change] = []

    /// - Parameters:
    ///   - known: the instances that had answered before the window; those of the window are added.
    ///   - gone: those of them that had vanished; kept up to date.
    init(
        _ window: TimelinePeriod, index: Int, event: TimelineEvent, before: TimelinePeriod?,
        known: inout Set<UInt16>, gone: inout Set<UInt16>
    ) {
        self.index = index
        self.event = event
        self.window = window
        self.before = before
        for number in window.answering {
            let share = window.share(of: number)
            if known.insert(number).inserted {
                appeared.append(change(number, share.firstNanoseconds))
            } else if gone.remove(number) != nil {
                returned.append(change(number, share.firstNanoseconds))
            }
        }
        guard let before else { return }
        for number in before.answering where !gone.contains(number) {
            let (earlier, share) = (before.share(of: number), window.share(of: number))
            let others = window.answers - share.answersUpToLast
            let last: Int64
            if share.answers > 0 {
                guard Self.isSilence(others, earlier.answers, before) else { continue }
                last = share.lastNanoseconds
            } else {
                // Its last answer came before the event: if long before, for another reason.
                let sooner = before.answers - earlier.answersUpToLast
                guard !Self.isSilence(sooner, earlier.answers, before),
                    Self.isSilence(sooner + others, earlier.answers, before)
                else { continue }
                last = earlier.lastNanoseconds
            }
            gone.insert(number)
            vanished.append(change(number, last))
        }
    }

    private func change(_ number: UInt16, _ moment: Int64) -> Change {
        Change(instance: number, sinceStartNanoseconds: moment - window.startNanoseconds)
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
        var windows: [EventWindow] = []
        var (known, gone) = (Set<UInt16>(), Set<UInt16>())
        var before: TimelinePeriod?
        for period in periods {
            if let index = period.event {
                windows.append(
                    EventWindow(
                        period, index: index, event: events[index], before: before, known: &known,
                        gone: &gone))
            } else {
                known.formUnion(period.answering)
                gone.subtract(period.answering)
            }
            if period.requests > 0 { before = period }
        }
        return windows
    }
}
