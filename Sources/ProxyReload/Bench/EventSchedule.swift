import Pacing
import Telemetry

/// A command that runs at a set time after the start, as the command line gives it: `2s=COMMAND`.
public struct ScheduledCommand: Equatable, Sendable {
    /// After the start of the test.
    public var after: Duration
    /// For `/bin/sh -c`.
    public var command: String

    /// - Parameter after: not negative.
    public init(after: Duration, command: String) {
        self.after = after
        self.command = command
    }

    /// Parses a duration in Go's syntax, `=`, and a command that is not empty; nil for anything
    /// else.
    public init?(_ text: String) {
        guard let mark = text.firstIndex(of: "="),
            let after = GoDuration(String(text[..<mark]))?.duration, after >= .zero
        else { return nil }
        let command = text[text.index(after: mark)...]
        guard command.contains(where: { !$0.isWhitespace }) else { return nil }
        self.init(after: after, command: String(command))
    }
}

/// Where a bench sends its requests: `http://host:port/path?query`.
public struct BenchURL: Equatable, Sendable {
    /// A name or an address, without brackets.
    public var host: String
    /// The TCP port; 80 unless the URL says otherwise.
    public var port: UInt16
    /// Path and query as they go into the request line.
    public var target: String
    /// Host and port as they go into the Host field.
    public var authority: String

    /// Why a text is no such URL, for one line to a person.
    public enum Problem: Error, Equatable, Sendable, CustomStringConvertible {
        case https
        case malformed

        public var description: String {
            switch self {
            case .https: "https:// is not supported yet: expected http://host:port/path"
            case .malformed: "expected a URL such as http://proxy.example:8080/path"
            }
        }
    }

    /// - Throws: ``Problem`` for other schemes, user names, and what is no URL at all.
    public init(_ text: String) throws(Problem) {
        let lowercased = text.prefix(8).lowercased()
        if lowercased.hasPrefix("https://") { throw .https }
        guard lowercased.hasPrefix("http://") else { throw .malformed }
        let rest = text.dropFirst(7)
        let end = rest.firstIndex { "/?#".contains($0) } ?? rest.endIndex
        authority = String(rest[..<end])
        // What follows "#" is the browser's own affair (RFC 9110 §4.2.1).
        let path = rest[end...].prefix { $0 != "#" }
        target = path.hasPrefix("/") ? String(path) : "/" + path
        guard let (host, port) = Self.split(authority) else { throw .malformed }
        (self.host, self.port) = (host, port)
        let isPlain = (authority + target).utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        guard isPlain, !authority.contains("@") else { throw .malformed }
    }

    private static func split(_ authority: String) -> (host: String, port: UInt16)? {
        var host = Substring(authority)
        var port: UInt16 = 80
        let isLiteral = host.hasPrefix("[")
        let afterHost = isLiteral ? host.lastIndex(of: "]") : host.startIndex
        guard let afterHost else { return nil }
        if let colon = host[afterHost...].lastIndex(of: ":") {
            let digits = host[host.index(after: colon)...]
            guard digits.utf8.allSatisfy({ $0 &- 0x30 <= 9 }), let number = UInt16(digits),
                number > 0
            else { return nil }
            port = number
            host = host[..<colon]
        }
        if isLiteral {
            guard host.hasSuffix("]") else { return nil }
            host = host.dropFirst().dropLast()
            guard host.contains(":") else { return nil }
        } else if host.contains(":") {
            return nil
        }
        return host.isEmpty ? nil : (String(host), port)
    }
}
