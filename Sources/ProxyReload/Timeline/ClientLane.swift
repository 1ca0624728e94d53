/// Requests of one client that one instance answered one after the other.
public struct LaneSegment: Equatable, Sendable {
    /// The instance's number; nil where several are mixed, or none is known.
    public internal(set) var instance: UInt16?
    /// Whether segments of several instances were merged into this one.
    public internal(set) var isMixed = false
    /// Whether a request just before it was not answered.
    public let followsFailure: Bool
    /// The start of the first of the requests, in nanoseconds since the start of the test.
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

/// What one client saw over time, as segments. A request without an answer ends a segment. Bounded:
/// when a client has too many, neighbours that are together shorter than the resolution become one,
/// and the resolution doubles until there are at most half as many.
public struct ClientLane: Sendable {
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

    var frontPort: UInt16 = 0
    var backPort: UInt16 = 0
    /// Whether a request came to nothing since the last segment's end.
    private var isInterrupted = false

    /// A request of this client was not answered.
    @inline(__always)
    mutating func interrupt() { isInterrupted = true }

    @inline(__always)
    mutating func append(_ row: RequestRecord, limit: Int) {
        let start = max(row.nanoseconds &- row.latencyNanoseconds, 0)
        if let last = segments.indices.last {
            let isSame =
                segments[last].instance == row.instance && !segments[last].isMixed
                && !isInterrupted
            let isShort =
                row.nanoseconds &- segments[last].startNanoseconds
                <= resolutionNanoseconds
            if isSame || isShort {
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
            instance: row.instance, followsFailure: isInterrupted, startNanoseconds: start,
            endNanoseconds: row.nanoseconds, requests: 0)
        segment.count(row.instance)
        segments.append(segment)
        isInterrupted = false
        if segments.count > limit { coarsen(to: limit / 2) }
    }

    private mutating func coarsen(to count: Int) {
        while segments.count > count {
            resolutionNanoseconds = max(resolutionNanoseconds * 2, 1_000_000)
            var merged: [LaneSegment] = []
            merged.reserveCapacity(segments.count)
            for segment in segments {
                guard let last = merged.indices.last,
                    segment.endNanoseconds - merged[last].startNanoseconds
                        <= resolutionNanoseconds
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
