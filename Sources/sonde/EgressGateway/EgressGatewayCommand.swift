import ArgumentParser
import Reactor

struct EgressGatewayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "egw",
        abstract: "Measure how long an egress gateway takes to masquerade, and what it carries.",
        discussion: """
            The client connects to the external target again and again; the target answers only \
            sources within its allowed blocks, so the first answer marks the moment at which \
            traffic leaves through the gateway.
            """,
        subcommands: [EgressClientCommand.self, ExternalTargetCommand.self])

    private static let flags: Set = ["--stress", "--stress-compat", "--keep-open"]
    private static let options: Set = ["--allow-from-loopback"]

    /// Booleans as the original's parser (cobra) takes them, put into words that this one knows:
    /// `--stress`, and `--stress=1` with any word of Go's `ParseBool`; the last one counts.
    ///
    /// A boolean behind a bare flag is not its value but an argument of its own, which the original
    /// ignores. So it is here, and said.
    ///
    /// - Throws: ``Failure`` for what is no boolean.
    static func translate(_ arguments: [String]) throws -> [String] {
        var words: [String] = []
        var given: [String: Bool] = [:]
        var bare: String?
        let own = arguments.prefix { $0 != "--" }
        for argument in own {
            let parts = argument.split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            let isFlag = flags.contains(name)
            defer { bare = isFlag && parts.count == 1 ? name : nil }
            if let bare, boolean(argument) != nil {
                let correct = "\(bare)=\(argument)"
                StandardStream.error.write("sonde: '\(argument)' is ignored, \(correct) is not\n")
            } else if isFlag && parts.count == 1 {
                given[name] = true
            } else if isFlag || parts.count == 2 && options.contains(name) {
                guard let value = boolean(String(parts[1])) else {
                    throw Failure.usage(
                        "The value '\(parts[1])' is invalid for '\(name)': expected true or false")
                }
                if isFlag { given[name] = value } else { words.append("\(name)=\(value)") }
            } else {
                words.append(argument)
            }
        }
        return words + given.filter(\.value).keys.sorted() + arguments.dropFirst(own.count)
    }

    /// The words of Go's `strconv.ParseBool`.
    private static func boolean(_ word: String) -> Bool? {
        switch word {
        case "1", "t", "T", "true", "True", "TRUE": true
        case "0", "f", "F", "false", "False", "FALSE": false
        default: nil
        }
    }
}
