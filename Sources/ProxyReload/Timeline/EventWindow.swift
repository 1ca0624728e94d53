import Telemetry

/// What an event did: its window, compared with the period before it.
public struct EventWindow: Sendable {
    /// An instance that began to answer.
    public struct Change: Equatable, Sendable {
        /// Its number in the timeline's table.
        public var instance: UInt16
        /// From the event's start to its first answer, in nanoseconds.
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
    /// First answers of instances that had answered earlier and then fallen silent.
    public private(set) var returned: [Change] = []
    /// Instances that answered before and then no more: a fact each, and where it can be had, the
    /// proof that they are gone.
    public internal(set) var silences: [Silence] = []

    /// - Parameters:
    ///   - known: the instances that had answered before the window; those of the window are added.
    ///   - silent: those of them that had fallen silent; kept up to date.
    init(
        _ window: TimelinePeriod, index: Int, event: TimelineEvent, before: TimelinePeriod?,
        known: inout Set<UInt16>, silent: inout Set<UInt16>
    ) {
        self.index = index
        self.event = event
        self.window = window
        self.before = before
        for number in window.answering {
            let change = Change(
                instance: number,
                sinceStartNanoseconds: window.share(of: number).firstNanoseconds
                    - window.startNanoseconds)
            if known.insert(number).inserted {
                appeared.append(change)
            } else if silent.remove(number) != nil {
                returned.append(change)
            }
        }
    }

    /// The instances that are gone.
    public var vanished: [Silence] { silences.filter { $0.evidence != nil } }
}

/// An instance that fell silent: its last answer, what came since, and whether that proves that it
/// is gone.
public struct Silence: Equatable, Sendable {
    /// Why an instance that answers no more is gone, and not merely chosen more seldom.
    public enum Evidence: String, Sendable {
        /// All its connections broke off, and none came back to it, while others' went on. Only
        /// where each connection belongs to one instance: no proxy that chooses for each request
        /// has a connection of ours to an instance.
        case connections
        /// So many answers of others would come in a row by chance with less than one in a
        /// million, at the share it had since the event.
        case chance
    }

    /// Its number in the timeline's table.
    public var instance: UInt16
    /// From the event's start to its last answer, in nanoseconds; negative when that came before.
    public var sinceStartNanoseconds: Int64
    /// Answers of others since: until the end, or until the event that brought it back.
    public var others: Int
    /// Connections then open whose latest answer was its own.
    public var openConnections: Int
    /// Nil where it is not known whether it is gone.
    public var evidence: Evidence?
}

extension Silence {
    /// So many times must it have been chosen again after another since the event.
    private static let turns = 10
    /// So many answers of others, at least: an instance with a hundredth of the requests would be
    /// silent for as long with less than one in a million.
    private static let shortest = 1400

    /// Whether so many answers of others are worth a word: with the share *s* of an instance, *n*
    /// others in a row come by chance with probability (1 − *s*)ⁿ, below one in a million for *n*
    /// of 14 / *s*. Nothing is concluded from it: an event may have changed the share.
    static func isLong(_ others: Int, _ number: UInt16, in period: TimelinePeriod) -> Bool {
        let own = period.share(of: number).answers
        return own > 0 && Double(others) >= max(20, 14 * Double(period.answers) / Double(own))
    }

    /// Whether chance is below one in a million at the share that an instance had in this window.
    ///
    /// The share itself is not known, and is not guessed: if waits are memoryless, one of 14 times
    /// the longest of ten earlier ones has the probability 1 / C(24, 10), whatever the share. Where
    /// a balancer goes round in long turns, the longest wait has seen such a turn.
    /// - Parameter longest: others in a row before one of its answers, in the whole test.
    static func isBeyondChance(_ others: Int, after share: InstanceShare, longest: Int) -> Bool {
        share.turns >= turns && others >= max(shortest, 14 * longest)
    }
}

extension ReloadTimeline {
    /// One for each event, in their order.
    public var windows: [EventWindow] {
        let periods = self.periods
        var windows: [EventWindow] = []
        var (known, silent) = (Set<UInt16>(), Set<UInt16>())
        var before: Int?
        for (place, period) in periods.enumerated() {
            if let index = period.event {
                var window = EventWindow(
                    period, index: index, event: events[index], before: before.map { periods[$0] },
                    known: &known, silent: &silent)
                let candidates = Set(period.answering + (window.before?.answering ?? []))
                window.silences = candidates.subtracting(silent).sorted().compactMap {
                    silence(of: $0, periods, place, before: window.before)
                }
                silent.formUnion(window.silences.map(\.instance))
                windows.append(window)
            } else {
                known.formUnion(period.answering)
                silent.subtract(period.answering)
            }
            if period.requests > 0 { before = place }
        }
        return windows
    }

    /// Whether an instance fell silent by the event whose window has this place; nil where not.
    private func silence(
        of number: UInt16, _ periods: [TimelinePeriod], _ place: Int, before: TimelinePeriod?
    ) -> Silence? {
        let (window, share) = (periods[place], periods[place].share(of: number))
        let earlier = before.flatMap { $0.share(of: number).answers > 0 ? $0 : nil }
        var others = window.answers - share.answersUpToLast
        var last = share.lastNanoseconds
        if share.answers == 0 {
            // Its last answer came before the event: if long before, for another reason.
            guard let earlier else { return nil }
            let sooner = earlier.answers - earlier.share(of: number).answersUpToLast
            if Silence.isLong(sooner, number, in: earlier) { return nil }
            others += sooner
            last = earlier.share(of: number).lastNanoseconds
        }
        let next = place + 1 < periods.count ? periods[place + 1] : nil
        if next?.event != nil, !Silence.isLong(others, number, in: earlier ?? window) {
            return nil  // it answered until the next event: if it is silent, by that one
        }
        var (end, returns) = (place, false)
        for later in periods.indices.dropFirst(place + 1) where !returns {
            if periods[later].share(of: number).answers == 0 {
                others += periods[later].answers
                end = later
            } else if periods[later].event == nil {
                return nil  // it came by itself: it was there all the time
            } else {
                returns = true
            }
        }
        guard Silence.isLong(others, number, in: earlier ?? window) else { return nil }
        let open = periods[end].openConnections[number] ?? 0
        var silence = Silence(
            instance: number, sinceStartNanoseconds: last - window.startNanoseconds,
            others: others, openConnections: open)
        if open > 0 { return silence }
        if !returns, isCutOff(number, since: last) {
            silence.evidence = .connections
        } else if hasSharedConnections {
            // Requests that go where their connection goes are no chances of their own.
            // Where it came back, the longest wait of all is the one that is to be judged.
            let judged = returns ? periods[...place] : [total]
            let longest = judged.map { $0.share(of: number).longestWait }.max() ?? 0
            if Silence.isBeyondChance(others, after: share, longest: longest) {
                silence.evidence = .chance
            }
        }
        return silence
    }
}
