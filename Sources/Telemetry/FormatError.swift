/// Why a piece of text is not what it should be: a duration, a time.
public struct FormatError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The text that was given.
    public var text: String
    /// The byte of `text` at which it stopped being acceptable; its length when it ended too early.
    public var offset: Int
    /// What would have been accepted there, as a phrase.
    public var expected: String

    /// - Parameter offset: in bytes of `text`'s UTF-8.
    public init(text: String, offset: Int, expected: String) {
        self.text = text
        self.offset = offset
        self.expected = expected
    }

    /// One line, for a person.
    public var description: String {
        let place = offset == 0 ? "" : " at byte \(offset)"
        return "\"\(text)\": expected \(expected)\(place)"
    }
}
