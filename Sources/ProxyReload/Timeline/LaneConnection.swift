/// What the rows of one client tell about the connection that carried the last of them.
struct LaneConnection: Sendable {
    /// A connection that has ended, and had carried an answer.
    struct End: Equatable {
        var instance: UInt16
        /// Whether it broke off under a request, and not between two or by our own timeout.
        var isBroken: Bool
    }

    private var port: UInt16 = 0
    /// When its first request began, in nanoseconds since the start of the test.
    private(set) var start: Int64 = 0
    /// The instance of its latest answer that named one.
    private(set) var instance: UInt16?
    /// Whether it carried answers of several instances.
    private(set) var isShared = false
    /// As far as its rows tell.
    private(set) var isOpen = false

    /// - Returns: the connection that has ended meanwhile, where one of an instance has.
    @inline(__always)
    mutating func follow(_ row: RequestRecord) -> End? {
        var ended: End?
        if isOpen, row.frontPort != port { ended = end(isBroken: false) }
        if row.frontPort == 0 { return ended }
        if !isOpen {
            self = LaneConnection()
            (port, start, isOpen) = (row.frontPort, row.startNanoseconds, true)
        }
        guard row.outcome.isAnswered else {
            let breaks: [RequestOutcome] = [.reset, .closed, .reusedReset, .reusedClosed]
            return end(isBroken: breaks.contains(row.outcome)) ?? ended
        }
        if let new = row.instance {
            if let instance, instance != new { isShared = true }
            instance = new
        }
        return ended
    }

    private mutating func end(isBroken: Bool) -> End? {
        isOpen = false
        return instance.map { End(instance: $0, isBroken: isBroken) }
    }
}
