/// Why bytes are not acceptable HTTP/1.1, where, and which status says so.
///
/// The offset counts from the first byte of the message (its head included), so that a log line
/// points into a capture. It does not depend on how the bytes were split into reads.
public struct HTTPCodecError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What is wrong. The sections are those of RFC 9112 unless another one is named.
    public enum Reason: String, Equatable, Sendable, CaseIterable {
        // Line structure (§2.2, §5).
        case bareLineFeed
        case bareCarriageReturn
        case obsoleteLineFolding
        // Start line (§3, §4).
        case invalidMethod
        case methodTooLong
        case invalidTarget
        case targetTooLong
        case malformedVersion
        case unsupportedVersion
        case malformedStatusLine
        // Field lines (§5).
        case invalidFieldName
        case whitespaceBeforeColon
        case missingColon
        case invalidFieldValue
        case headTooLarge
        case tooManyFields
        // Host (§3.2).
        case missingHost
        case duplicateHost
        case invalidHost
        // Framing (§6).
        case malformedContentLength
        case conflictingContentLength
        case contentLengthWithTransferEncoding
        case transferEncodingInHTTP10
        case malformedTransferEncoding
        case unsupportedTransferCoding
        case bodyTooLarge
        // Chunks (§7.1).
        case malformedChunkSize
        case chunkSizeOverflow
        case malformedChunkExtension
        case chunkExtensionsTooLong
        case malformedChunkEnd
        // Semantics (RFC 9110 §9.3.6, §10.1.1, §15.2).
        case connectUnsupported
        case unsupportedExpectation
        case upgradeUnsupported
        case tooManyInformationalResponses
        // Connection (§8, §9.3).
        case unexpectedBytes
        case truncated
    }

    /// What is wrong.
    public var reason: Reason
    /// Byte offset from the start of the message.
    public var offset: Int
    /// The status a server sends for it, or 502 where a response was at fault.
    public var statusHint: Int

    /// An error with a status of its own.
    public init(_ reason: Reason, offset: Int, statusHint: Int) {
        self.reason = reason
        self.offset = offset
        self.statusHint = statusHint
    }

    /// An error in a request: the status follows from the reason.
    public init(request reason: Reason, offset: Int) {
        self.init(reason, offset: offset, statusHint: Self.requestStatus(reason))
    }

    /// An error in a response: the other side's fault, so 502 for whoever relays it.
    public init(response reason: Reason, offset: Int) {
        self.init(reason, offset: offset, statusHint: 502)
    }

    /// The status that RFC 9110 §15 and RFC 6585 §5 give to each reason in a request.
    private static func requestStatus(_ reason: Reason) -> Int {
        switch reason {
        case .targetTooLong: 414
        case .headTooLarge, .tooManyFields: 431
        case .bodyTooLarge: 413
        case .unsupportedExpectation: 417
        case .methodTooLong, .unsupportedTransferCoding, .connectUnsupported: 501
        case .unsupportedVersion: 505
        default: 400
        }
    }

    public var description: String {
        "\(Self.words(of: reason)) at byte \(offset)"
    }

    /// "contentLengthWithTransferEncoding" → "content length with transfer encoding".
    private static func words(of reason: Reason) -> String {
        var text = ""
        var previousWasUpper = false
        for character in reason.rawValue {
            let isUpper = character.isUppercase || character.isNumber
            if isUpper, !previousWasUpper { text.append(" ") }
            text.append(contentsOf: character.lowercased())
            previousWasUpper = isUpper
        }
        return text
    }
}
