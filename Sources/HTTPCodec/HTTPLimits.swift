/// What a peer may ask of the codec. Every limit has a default that ordinary traffic never meets.
public struct HTTPLimits: Equatable, Sendable {
    /// Start line, fields and the empty line after them, in bytes; more is 431. The trailer
    /// section of a chunked body has the same limit. Default 16 KiB: twice what nginx and Apache
    /// take per line, and room for the cookies that exist in practice.
    public var maximumHeadBytes: Int
    /// The request target, in bytes; more is 414. Default 8,000, the least that RFC 9112 §3
    /// recommends to support.
    public var maximumTargetBytes: Int
    /// Field lines in one head or trailer section; more is 431. Default 100.
    public var maximumFieldCount: Int
    /// Content of one message, in bytes; more is 413. Default 64 MiB.
    public var maximumBodyBytes: Int64
    /// Chunk extensions of one whole body, in bytes (nobody sends any; a flood of them costs the
    /// receiver much more than the content it carries). Default 4 KiB.
    public var maximumChunkExtensionBytes: Int
    /// Request content that is read and thrown away after an early response so that the
    /// connection can be kept, in bytes. Default 64 KiB; with more to come the connection closes.
    public var maximumDrainBytes: Int64

    /// Methods longer than this are 501 (RFC 9112 §3): no registered one has more than 17 bytes.
    static let maximumMethodBytes = 64
    /// Interim (1xx) responses before a final one; a client gives up after these.
    static let maximumInformationalResponses = 32
    /// Offsets into a head are 32 bits wide.
    static let largestHeadBytes = 1 << 30

    /// Limits, each at its default unless given.
    public init(
        maximumHeadBytes: Int = 16 * 1024,
        maximumTargetBytes: Int = 8_000,
        maximumFieldCount: Int = 100,
        maximumBodyBytes: Int64 = 64 * 1024 * 1024,
        maximumChunkExtensionBytes: Int = 4 * 1024,
        maximumDrainBytes: Int64 = 64 * 1024
    ) {
        self.maximumHeadBytes = maximumHeadBytes
        self.maximumTargetBytes = maximumTargetBytes
        self.maximumFieldCount = maximumFieldCount
        self.maximumBodyBytes = maximumBodyBytes
        self.maximumChunkExtensionBytes = maximumChunkExtensionBytes
        self.maximumDrainBytes = maximumDrainBytes
    }
}
