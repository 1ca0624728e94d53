import Pacing

/// The order in which pending targets take their turns: whoever was probed longest ago comes first.
///
/// A linked ring over indices: taking a target out, and moving the first one to the back, are O(1),
/// and neither changes the order of the others, so that none can be passed over.
struct ProbeRing: Sendable {
    private struct Link: Sendable {
        var previous = ProbeRing.outside
        var next: Int32 = -1
        /// When its turn was last, on the ideal schedule; later probes count from it.
        var lastTurn = Instant(nanoseconds: 0)
    }

    /// Where a link's `previous` points that is no member.
    private static let outside: Int32 = -2

    private var links: [Link]
    private var head: Int32 = -1
    private var tail: Int32 = -1
    private(set) var count = 0

    init(capacity: Int) {
        links = [Link](repeating: Link(), count: capacity)
    }

    var first: Int? { head < 0 ? nil : Int(head) }

    func lastTurn(of target: Int) -> Instant { links[target].lastTurn }

    mutating func append(_ target: Int, lastTurn: Instant) {
        guard links[target].previous == ProbeRing.outside else { return }
        links[target] = Link(previous: tail, next: -1, lastTurn: lastTurn)
        if tail < 0 { head = Int32(target) } else { links[Int(tail)].next = Int32(target) }
        tail = Int32(target)
        count += 1
    }

    mutating func remove(_ target: Int) {
        let link = links[target]
        guard link.previous != ProbeRing.outside else { return }
        if link.previous < 0 {
            head = link.next
        } else {
            links[Int(link.previous)].next = link.next
        }
        if link.next < 0 {
            tail = link.previous
        } else {
            links[Int(link.next)].previous = link.previous
        }
        links[target].previous = ProbeRing.outside
        count -= 1
    }

    /// The first target takes its turn and goes to the back.
    mutating func rotate(turn: Instant) {
        guard let target = first else { return }
        remove(target)
        append(target, lastTurn: turn)
    }

    /// Sets the turns so that all members come due one after the other, evenly over the `interval`
    /// that begins now.
    mutating func spread(over interval: Duration, now: Instant) {
        var next = head
        var index: Int64 = 0
        let nanoseconds = interval.nanoseconds
        while next >= 0 {
            let offset = Double(nanoseconds) * (Double(index) / Double(count))
            links[Int(next)].lastTurn = now + .nanoseconds(Int64(offset.rounded()) - nanoseconds)
            next = links[Int(next)].next
            index += 1
        }
    }
}
