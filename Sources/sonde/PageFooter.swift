import Instrument
import Report
import Telemetry

extension Footer {
    /// This program, its command line, and when the run began, to the second.
    init(began: WallClock, notes: [String]) {
        let seconds = began.nanosecondsSinceEpoch / 1_000_000_000
        self.init(
            version: Build.version, command: CommandText.line(CommandLine.arguments),
            date: WallClock(nanosecondsSinceEpoch: seconds * 1_000_000_000).description,
            notes: notes)
    }
}

/// A command line as it can be given to a shell again.
enum CommandText {
    static func line(_ arguments: [String]) -> String {
        guard let program = arguments.first else { return "" }
        let name = program.split(separator: "/").last.map(String.init) ?? program
        return ([name] + arguments.dropFirst()).map(quoted).joined(separator: " ")
    }

    private static func quoted(_ word: String) -> String {
        let isPlain = word.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "-_./:=,@%+".utf8.contains(byte)
            }
        }
        if isPlain, !word.isEmpty { return word }
        return "'"
            + word.split(separator: "'", omittingEmptySubsequences: false)
            .joined(separator: #"'\''"#) + "'"
    }
}
