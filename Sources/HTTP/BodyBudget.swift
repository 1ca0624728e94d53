/// Memory for content while it is collected, shared by all connections of a server. A limit for
/// each message alone does not hold where many come at once.
///
/// What arrives is counted, not what is announced: announcing costs a peer nothing, and must not
/// keep others out.
struct BodyBudget {
    enum Verdict { case fits, later, never }

    /// In bytes, of all connections together.
    let limit: Int64
    /// In bytes, now.
    private(set) var used: Int64 = 0

    init(limit: Int64) { self.limit = max(limit, 0) }

    /// Whether content of a message that holds `held` bytes may grow by `count`.
    func verdict(held: Int64 = 0, count: Int64) -> Verdict {
        if count > limit - min(held, limit) { return .never }
        return count > limit - used ? .later : .fits
    }

    mutating func take(_ count: Int64) { used += count }

    mutating func giveBack(_ count: Int64) { used -= count }
}
