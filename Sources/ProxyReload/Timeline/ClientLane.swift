/// Requests of one client that one instance answered one after the other.
public struct LaneSegment: Equatable, Sendable {
    /// The instance's number; nil where several are mixed, or none is known.
    public internal(set) var instance: UInt16?
    /// Whether segments of several instances were merged into this one.
    public internal(set) var isMixed = false
    /// Whether no answer came between the last segment and this one, although a request waited for
    /// one: it failed, or took longer than `ClientLane.longestWaitNanoseconds`.
    public let followsGap: Bool
    /// The start of the first of the requests, in nanoseconds since the start of the test; behind a
    /// long wait the first answer.
    public internal(set) var startNanoseconds: Int64
    /// When the last of them was answered.
    public internal(set) var endNanoseconds: Int64
    /// How many.
    public internal(set) var requests: Int
    /// How many of them each instance answered: by its number the first seven, the rest together.
    public internal(set) var answers = SIMD8<UInt32>()

    @inline(__always)
    mutating func count(_ instance: UInt16?) {
        requests &+= 1
        answers[min(Int(instance ?? 7), 7)] &+= 1
    }
}

/// What one client saw over time, as segments. A request without an answer ends a segment, and so
/// does one that waits long: between two answers is nothing. Bounded: when a client has too many,
/// neighbours that are together shorter than the resolution become one, unless a gap between them
/// is longer than a quarter of it; and the resolution doubles until there are at most half as many.
public struct ClientLane: Sendable {
    /// A request that waits longer than this leaves a gap until its answer: 100 ms.
    public static let longestWaitNanoseconds: Int64 = 100_000_000

    /// In order of time.
    public private(set) var segments: [LaneSegment] = []
    /// Shorter segments may have been merged, in nanoseconds; zero while none was.
    public private(set) var resolutionNanoseconds: Int64 = 0

    /// Requests with anything else than status 200.
    public internal(set) var failures = MomentSet()
    /// Requests over another front port than the one before.
    public internal(set) var frontChanges = MomentSet()
    /// Requests over another back port than the one before.
    public internal(set) var backChanges = MomentSet()

    var connection = LaneConnection()
    var frontPort: UInt16 = 0
    var backPort: UInt16 = 0
    /// Whether a request came to nothing since the last segment's end.
    private var isInterrupted = false

    /// A request of this client was not answered.
    @inline(__always)
    mutating func interrupt() { isInterrupted = true }

    @inline(__always)
    mutating func append(_ row: RequestRecord, limit: Int) {
        let isLate = row.latencyNanoseconds > Self.longestWaitNanoseconds
        let start = isLate ? row.nanoseconds : row.startNanoseconds
        if let last = segments.indices.last {
            let isSame =
                segments[last].instance == row.instance && !segments[last].isMixed
                && !isInterrupted && !isLate
            if isSame || joins(segments[last], start: start, end: row.nanoseconds) {
                segments[last].endNanoseconds = row.nanoseconds
                segments[last].count(row.instance)
                isInterrupted = false
                if segments[last].instance != row.instance {
                    segments[last].instance = nil
                    segments[last].isMixed = true
                }
                return
            }
        }
        var segment = LaneSegment(
            instance: row.instance, followsGap: isInterrupted || isLate, startNanoseconds: start,
            endNanoseconds: row.nanoseconds, requests: 0)
        segment.count(row.instance)
        segments.append(segment)
        isInterrupted = false
        if segments.count > limit { coarsen(to: limit / 2) }
    }

    /// Whether what follows a segment is too near to be told apart from it.
    private func joins(_ last: LaneSegment, start: Int64, end: Int64) -> Bool {
        end &- last.startNanoseconds <= resolutionNanoseconds
            && start &- last.endNanoseconds <= resolutionNanoseconds / 4
    }

    private mutating func coarsen(to count: Int) {
        while segments.count > count {
            resolutionNanoseconds = max(resolutionNanoseconds * 2, 1_000_000)
            var merged: [LaneSegment] = []
            merged.reserveCapacity(segments.count)
            for segment in segments {
                guard let last = merged.indices.last,
                    joins(
                        merged[last], start: segment.startNanoseconds,
                        end: segment.endNanoseconds)
                else {
                    merged.append(segment)
                    continue
                }
                merged[last].endNanoseconds = segment.endNanoseconds
                merged[last].requests += segment.requests
                merged[last].answers &+= segment.answers
                if merged[last].instance != segment.instance || segment.isMixed {
                    merged[last].instance = nil
                    merged[last].isMixed = true
                }
            }
            segments = merged
        }
    }
}
