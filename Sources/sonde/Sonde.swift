import ArgumentParser
import Instrument
import Reactor

/// The command line: flags, wiring and exit codes.
@main
struct Sonde: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sonde",
        abstract: "Network scale-test instruments that print their own error.",
        discussion: """
            Durations are written as in Go: 250ms, 1.5s, 1m30s. Results and tables go to standard \
            output, progress and logs to standard error. Exit codes: 0 success, 1 failed \
            measurement, 64 wrong usage, 66 input that cannot be read, 69 something needed is not \
            available, 71 system error.

            Called as netpolvalidator, netpolproxy or sampleapp it acts as that role of \
            `sonde netpol`; called as egw-scale-utils it has the commands of `sonde egw`.
            """,
        version: Build.version,
        subcommands: [
            NetworkPolicyCommand.self, EgressGatewayCommand.self, ReloadCommand.self,
            LongLivedCommand.self, MergeCommand.self, ShowCommand.self, SchemaCommand.self,
        ])

    /// Names under which pods start a role directly.
    private static let roles: [String: [String]] = [
        "netpolvalidator": ["netpol", "client"],
        "netpolproxy": ["netpol", "proxy"],
        "sampleapp": ["netpol", "target"],
        "egw-scale-utils": ["egw"],
    ]

    static func main() {
        StandardStream.openAll()
        var arguments = Array(CommandLine.arguments.dropFirst())
        let name = CommandLine.arguments.first?.split(separator: "/").last.map(String.init) ?? ""
        if let role = roles[name] { arguments = role + arguments }
        do {
            if arguments.first == "egw" {
                arguments = try EgressGatewayCommand.translate(arguments)
            }
            do {
                var command = try parseAsRoot(arguments)
                try command.run()
            } catch  where exitCode(for: error) == .success {
                // --help, --version, …
                let text = fullMessage(for: error)
                if !text.isEmpty { try StandardStream.output.printLine(text) }
            }
        } catch let failure as Failure {
            StandardStream.error.write("sonde: \(failure.message)\n")
            exit(withError: ExitCode(failure.code))
        } catch {
            let code = exitCode(for: error)
            // One line that says what is wrong; the usage page only for who asks.
            let text = Expectation.complete(message(for: error))
            if !text.isEmpty {
                StandardStream.error.write("sonde: \(text) (see \(helpCommand(arguments)))\n")
            }
            exit(withError: code)
        }
    }

    /// The command whose help covers what was typed.
    private static func helpCommand(_ arguments: [String]) -> String {
        let words = arguments.prefix { !$0.hasPrefix("-") }.prefix(2)
        return (["sonde"] + words + ["--help"]).joined(separator: " ")
    }
}

/// What ends a command early: one line for people, and the exit code (sysexits.h) for scripts.
struct Failure: Error {
    let message: String
    let code: Int32

    static func usage(_ message: String) -> Failure { Failure(message: message, code: 64) }
    static func input(_ message: String) -> Failure { Failure(message: message, code: 66) }
    static func unavailable(_ message: String) -> Failure { Failure(message: message, code: 69) }
    static func system(_ message: String) -> Failure { Failure(message: message, code: 71) }
    static func failed(_ message: String) -> Failure { Failure(message: message, code: 1) }

    /// An address that is taken or not ours is the environment's affair; the rest the system's.
    init(_ error: UVError) {
        // A file that may not be written is not a network that cannot be reached.
        let isOutput = error.operation.hasPrefix("write ")
        switch isOutput ? .other : error.kind {
        case .addressInUse, .addressNotAvailable, .unknownName, .unreachable, .refused, .timedOut:
            self.init(message: "\(error)", code: 69)
        default:
            self.init(message: "\(error)", code: 71)
        }
    }

    init(message: String, code: Int32) {
        self.message = message
        self.code = code
    }
}
