/// Takes the content of one message out of the bytes after its head (RFC 9112 §6, §7.1).
///
///     state          input                     next state
///     counted        that many bytes           done
///     untilClose     anything                  untilClose (the end is the connection's)
///     size           1*HEXDIG                  size
///                    ";" or blanks and ";"     extension
///                    CR                        sizeLineFeed
///     extension      the grammar of §7.1.1     extension (see `ChunkExtension`)
///                    CR                        sizeLineFeed
///     sizeLineFeed   LF                        chunk, or trailers after size 0
///     chunk          that many bytes           chunkReturn
///     chunkReturn    CR                        chunkLineFeed
///     chunkLineFeed  LF                        size
///     trailers       field lines, empty line   done
public struct BodyDecoder: Sendable {
    /// What one step came to. Indices are good for the bytes of that step only; after `failed`
    /// nobody knows where the message ends, so the connection is of no further use.
    public enum Event: Equatable, Sendable {
        /// Nothing more can be done without more bytes; hand in again what was not consumed.
        case needMore
        /// A slice of the content, as indices into the bytes that were handed in.
        case data(Range<Int>)
        /// A trailer section that is not empty; `fieldCount` lines are in the context's table,
        /// with offsets from `bytes.lowerBound`. `end` follows.
        case trailers(bytes: Range<Int>, fieldCount: Int)
        /// The content is complete.
        case end
        /// The offset is an index into the bytes that were handed in.
        case failed(HTTPCodecError.Reason, offset: Int)
    }

    /// One step of decoding.
    public struct Step: Equatable, Sendable {
        /// How many of the bytes that were handed in are used up.
        public var consumed: Int
        /// What the step came to.
        public var event: Event

        /// A step with these two.
        public init(consumed: Int, event: Event) {
            self.consumed = consumed
            self.event = event
        }
    }

    enum State: UInt8, Sendable {
        case done, counted, untilClose
        case size, blankBeforeExtension, extensions, sizeLineFeed
        case chunk, chunkReturn, chunkLineFeed, trailers
    }

    private var state: State
    private var sizeDigits: UInt8 = 0
    private var extensionBytes: UInt32 = 0
    private var chunkExtension = ChunkExtension()
    /// Bytes left of the content or the chunk; while a size is read, the size so far.
    private var remaining: Int64 = 0
    private var total: Int64 = 0
    private var trailerParser = HeadParser()
    private let unfoldsTrailers: Bool

    /// A decoder for content that is delimited in this way.
    ///
    /// - Parameter unfoldsTrailers: takes line folding in trailers for spaces, as a client has to
    ///   (RFC 9112 §5.2), instead of refusing it.
    public init(_ framing: BodyFraming, unfoldsTrailers: Bool = false) {
        self.unfoldsTrailers = unfoldsTrailers
        switch framing {
        case .none: state = .done
        case .chunked: state = .size
        case .untilClose: state = .untilClose
        case .contentLength(let length):
            state = length > 0 ? .counted : .done
            remaining = max(length, 0)
        }
    }

    /// Whether the content is complete.
    public var isDone: Bool { state == .done }

    /// Whether the end of the connection is a proper end of the content.
    public var mayEndWithConnection: Bool { state == .untilClose || state == .done }

    /// Content bytes that are known to be outstanding; nil where only the peer knows.
    public var remainingBytes: Int64? {
        switch state {
        case .done: 0
        case .counted: remaining
        default: nil
        }
    }

    /// Does one step. Call again until it asks for more, ends or fails.
    public mutating func next(
        _ bytes: UnsafeRawBufferPointer, _ context: HTTPCodecContext
    ) -> Step {
        switch state {
        case .done:
            return Step(consumed: 0, event: .end)
        case .counted:
            return counted(bytes)
        case .untilClose:
            return untilClose(bytes, context.limits)
        default:
            return chunked(bytes, context)
        }
    }

    private mutating func counted(_ bytes: UnsafeRawBufferPointer) -> Step {
        if bytes.isEmpty { return Step(consumed: 0, event: .needMore) }
        let count = Int(min(Int64(bytes.count), remaining))
        remaining -= Int64(count)
        if remaining == 0 { state = .done }
        return Step(consumed: count, event: .data(0..<count))
    }

    private mutating func untilClose(
        _ bytes: UnsafeRawBufferPointer, _ limits: HTTPLimits
    ) -> Step {
        if bytes.isEmpty { return Step(consumed: 0, event: .needMore) }
        let count = Int(min(Int64(bytes.count), limits.maximumBodyBytes - total))
        if count == 0 { return Step(consumed: 0, event: .failed(.bodyTooLarge, offset: 0)) }
        total += Int64(count)
        return Step(consumed: count, event: .data(0..<count))
    }

    // MARK: Chunks

    private mutating func chunked(
        _ bytes: UnsafeRawBufferPointer, _ context: HTTPCodecContext
    ) -> Step {
        var index = 0
        while index < bytes.count {
            if state == .trailers { return trailers(bytes, from: index, context) }
            if state == .chunk {
                let count = Int(min(Int64(bytes.count - index), remaining))
                remaining -= Int64(count)
                if remaining == 0 { state = .chunkReturn }
                return Step(consumed: index + count, event: .data(index..<(index + count)))
            }
            let failure = lineByte(bytes[index], &index, context.limits)
            if let failure {
                return Step(consumed: index, event: .failed(failure, offset: index))
            }
        }
        return Step(consumed: index, event: .needMore)
    }

    /// One byte of a size line or of the line end after a chunk. Advances `index` if it is good.
    private mutating func lineByte(
        _ byte: UInt8, _ index: inout Int, _ limits: HTTPLimits
    ) -> HTTPCodecError.Reason? {
        switch state {
        case .size:
            if let failure = sizeByte(byte) { return failure }
        case .blankBeforeExtension:
            if byte == UInt8(ascii: ";") {
                beginExtension()
            } else if byte != 0x20 && byte != 0x09 {
                return byte == 0x0A ? .bareLineFeed : .malformedChunkSize
            } else if extensionBytes >= limits.maximumChunkExtensionBytes {
                return .chunkExtensionsTooLong
            }
            extensionBytes += 1
        case .extensions:
            if let failure = extensionByte(byte, limits) { return failure }
        case .sizeLineFeed:
            if byte != 0x0A { return .bareCarriageReturn }
            if remaining > limits.maximumBodyBytes - total { return .bodyTooLarge }
            total += remaining
            sizeDigits = 0
            state = remaining == 0 ? .trailers : .chunk
        case .chunkReturn:
            if byte != 0x0D { return .malformedChunkEnd }
            state = .chunkLineFeed
        case .chunkLineFeed:
            if byte != 0x0A { return .bareCarriageReturn }
            state = .size
        case .done, .counted, .untilClose, .chunk, .trailers:
            return .malformedChunkSize  // never: `chunked` handles these itself
        }
        index += 1
        return nil
    }

    private mutating func sizeByte(_ byte: UInt8) -> HTTPCodecError.Reason? {
        if let digit = ByteScan.hexValue(byte) {
            // Sixteen digits are enough for any size; more zeros are somebody's experiment.
            if sizeDigits == 16 || remaining > Int64.max >> 4 { return .chunkSizeOverflow }
            remaining = remaining << 4 | Int64(digit)
            sizeDigits += 1
            return nil
        }
        if byte == 0x0A { return .bareLineFeed }
        if sizeDigits == 0 { return .malformedChunkSize }
        switch byte {
        case 0x0D: state = .sizeLineFeed
        case UInt8(ascii: ";"): beginExtension()
        case 0x20, 0x09: state = .blankBeforeExtension
        default: return .malformedChunkSize
        }
        return nil
    }

    private mutating func beginExtension() {
        chunkExtension = ChunkExtension()
        state = .extensions
    }

    /// Nobody reads extensions, so what they say is skipped; but what is none is refused, and so
    /// are too many of them.
    private mutating func extensionByte(
        _ byte: UInt8, _ limits: HTTPLimits
    ) -> HTTPCodecError.Reason? {
        if byte == 0x0D, chunkExtension.mayEnd {
            state = .sizeLineFeed
            return nil
        }
        if extensionBytes >= limits.maximumChunkExtensionBytes { return .chunkExtensionsTooLong }
        guard chunkExtension.take(byte) else {
            return byte == 0x0A ? .bareLineFeed : .malformedChunkExtension
        }
        extensionBytes += 1
        return nil
    }

    private mutating func trailers(
        _ bytes: UnsafeRawBufferPointer, from start: Int, _ context: HTTPCodecContext
    ) -> Step {
        let section = UnsafeRawBufferPointer(rebasing: bytes[start...])
        switch trailerParser.parseTrailers(section, context, unfolds: unfoldsTrailers) {
        case .incomplete:
            return Step(consumed: start, event: .needMore)
        case .failed(let reason, let offset):
            return Step(consumed: start, event: .failed(reason, offset: start + offset))
        case .complete(let byteCount, let fieldCount):
            state = .done
            let end = start + byteCount
            if fieldCount == 0 { return Step(consumed: end, event: .end) }
            return Step(
                consumed: end, event: .trailers(bytes: start..<end, fieldCount: fieldCount))
        }
    }
}
