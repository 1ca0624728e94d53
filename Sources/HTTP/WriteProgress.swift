/// Whether a peer takes what is queued for it: looked at each time its write deadline passes.
///
/// Slow is not dead. A peer is given up when it took not a single byte from one look to the next,
/// so between one and two timeouts after its last byte, however large a single write is.
struct WriteProgress {
    /// What the peer had taken when last looked at; -1: it is known to have taken something since.
    /// A word and no optional, as every idle connection has one.
    private var taken: Int64

    /// - Parameter taken: see `TCPConnection.takenBytes`.
    init(taken: Int64 = -1) { self.taken = taken }

    /// The queue became shorter: nothing else need be known of this round.
    mutating func advanced() { taken = -1 }

    /// Whether to go on waiting.
    mutating func look(taken now: Int64) -> Bool {
        defer { taken = now }
        return now > taken
    }
}
