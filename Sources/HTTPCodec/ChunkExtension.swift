/// The part of a chunk's size line behind its first ";", byte by byte (RFC 9112 §7.1.1):
/// `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )`.
///
///     state        input            next
///     start        blank            start
///                  tchar            name
///     name         tchar            name
///                  blank            nameBlank
///                  "=", ";"         value, start
///     nameBlank    blank            nameBlank
///                  "=", ";"         value, start
///     value        blank            value
///                  tchar, DQUOTE    token, quoted
///     token        tchar            token
///                  blank, ";"       blank, start
///     quoted       qdtext           quoted
///                  "\", DQUOTE      pair, quotedEnd
///     pair         any but controls quoted
///     quotedEnd    blank, ";"       blank, start
///     blank        blank, ";"       blank, start
///
/// The line may end in `name`, `token` and `quotedEnd`: blanks belong in front of something.
struct ChunkExtension: Sendable {
    private enum State: UInt8 {
        case start, name, nameBlank, value, token, quoted, pair, quotedEnd, blank
    }

    private var state = State.start

    /// Whether a CR may follow.
    var mayEnd: Bool { state == .name || state == .token || state == .quotedEnd }

    /// False where the grammar has no such byte.
    mutating func take(_ byte: UInt8) -> Bool {
        let isBlank = byte == 0x20 || byte == 0x09
        switch state {
        case .start where isBlank, .value where isBlank: break
        case .start where ByteScan.isToken(byte): state = .name
        case .name where ByteScan.isToken(byte), .token where ByteScan.isToken(byte): break
        case .name where isBlank, .nameBlank where isBlank: state = .nameBlank
        case .name where byte == UInt8(ascii: "="), .nameBlank where byte == UInt8(ascii: "="):
            state = .value
        case .value where ByteScan.isToken(byte): state = .token
        case .value where byte == UInt8(ascii: "\""): state = .quoted
        case .quoted where byte == UInt8(ascii: "\""): state = .quotedEnd
        case .quoted where byte == UInt8(ascii: "\\"): state = .pair
        case .quoted, .pair:
            if (byte < 0x20 && byte != 0x09) || byte == 0x7F { return false }
            state = .quoted
        case .token where isBlank, .quotedEnd where isBlank, .blank where isBlank: state = .blank
        case .name, .nameBlank, .token, .quotedEnd, .blank:
            if byte != UInt8(ascii: ";") { return false }
            state = .start
        case .start, .value: return false
        }
        return true
    }
}
