/// Checks a document that arrives in pieces, in memory that does not grow with it.
///
/// Accepts and refuses exactly what `JSONReader` does, at the same byte and with the same words,
/// however the document is split; only the path is missing from its errors.
public struct JSONStreamValidator: Sendable {
    private var value: ValueScanner
    private var isEnded = false
    private var consumed = 0
    private var fault: JSONError?
    private let depthLimit: Int

    /// - Parameter depthLimit: how many containers may be open inside one another.
    public init(depthLimit: Int = 64) {
        self.depthLimit = depthLimit
        value = ValueScanner(depthLimit: depthLimit)
    }

    /// Takes the next bytes of the document. After an error every further call throws it again.
    public mutating func feed(_ bytes: UnsafeRawBufferPointer) throws(JSONError) {
        if let fault { throw fault }
        guard let base = bytes.baseAddress, bytes.count > 0 else { return }
        var position = 0
        if !isEnded {
            switch value.scan(base, &position, bytes.count) {
            case .more: break
            case .ended: isEnded = true
            case .failed(let expected, let offset):
                // A bad surrogate lies up to five bytes back, perhaps in a piece already gone: its
                // escape began with a backslash.
                throw fail(expected, offset, offset < 0 ? backslash : bytes[offset])
            }
        }
        while position < bytes.count {
            guard isWhitespace(bytes[position]) else {
                throw fail(.endOfDocument, position, bytes[position])
            }
            position += 1
        }
        consumed += bytes.count
    }

    /// Says that no bytes follow; throws when the document is not complete.
    public mutating func finish() throws(JSONError) {
        if let fault { throw fault }
        if isEnded { return }
        if let expected = value.finish() { throw fail(expected, 0, nil) }
        isEnded = true
    }

    private mutating func fail(
        _ expected: Expectation, _ offset: Int, _ found: UInt8?
    ) -> JSONError {
        let error = JSONError(
            offset: consumed + offset, expected: expected.text(depthLimit: depthLimit),
            found: describe(found))
        fault = error
        return error
    }
}
