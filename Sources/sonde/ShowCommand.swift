import ArgumentParser
import Reactor
import Result

struct ShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show results: as a table, side by side, or in another form.",
        discussion: """
            Takes what `sonde egw client --json` wrote, and merges of that. Several files stand \
            side by side, with the ratio of each to the first: before and after a change. The \
            other forms take one file.

            Exit codes: 64 files of different kinds, 66 a file that cannot be read or is no result.
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case table, json, csv, prometheus, hgrm
    }

    @Argument(help: ArgumentHelp("The results; - is standard input.", valueName: "file"))
    var files: [String]

    @Option(
        help: ArgumentHelp(
            """
            table, json (as it would be written today), csv, prometheus (for a push gateway or a \
            textfile collector), or hgrm (percentiles as HdrHistogram's tools print them).
            """, valueName: "form"))
    var format = Format.table

    func validate() throws {
        if files.count(where: { $0 == "-" }) > 1 {
            throw ValidationError("-: expected standard input once at most")
        }
        if format != .table, files.count > 1 {
            throw ValidationError("--format \(format.rawValue): expected one file")
        }
    }

    mutating func run() throws {
        var results: [(name: String, result: RunResult)] = []
        for file in files {
            let result = try RunResult.read(file)
            if let first = results.first, first.result.kind != result.kind {
                throw Failure.usage(
                    "\(file): is of the kind '\(result.kind.name)', but \(first.name) of "
                        + "'\(first.result.kind.name)'")
            }
            results.append((file, result))
        }
        guard let result = results.first?.result else { return }
        switch format {
        case .table:
            try StandardStream.output.put(Array(ResultText(results).text.utf8))
        case .json: try StandardStream.output.put(result.json)
        case .csv: try StandardStream.output.put(result.csv)
        case .prometheus: try StandardStream.output.put(result.prometheus)
        case .hgrm:
            for distribution in result.kind.distributions {
                try StandardStream.output.put(result.hdrPercentiles(distribution))
            }
        }
    }
}

struct SchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema",
        abstract: "Print the JSON schema (draft 2020-12) of the results.")

    mutating func run() throws {
        try StandardStream.output.put(ResultSchema(ResultKinds.all).json)
    }
}
