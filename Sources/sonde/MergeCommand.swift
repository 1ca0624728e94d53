import ArgumentParser
import Instrument
import Reactor
import Result

struct MergeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "merge",
        abstract: "Make one result of those of several pods.",
        discussion: """
            Takes what `sonde egw client`, `longlived client` or `reload bench` wrote with --json, \
            one file for each pod. Counters are added, histograms merged bucket by bucket, and \
            percentiles, shares and indexes computed anew, so that they are those of one pod that \
            had done everything. The result is of the same kind and goes to standard output, a \
            table to standard error. Times of single pods (series, events) have no common clock \
            and are left out. A run that is in two files is refused: it would count twice.

            Exit codes: 1 not as many results as --expect says, though those that came are merged, \
            64 files of different kinds, 66 a file that cannot be read, is cut short \
            or is no result.
            """)

    @Argument(help: ArgumentHelp("The results; - is standard input.", valueName: "file"))
    var files: [String]

    @Option(
        help: ArgumentHelp(
            """
            How many results there have to be: as many as there were pods. A merged result counts \
            as those that are in it (default: any number).
            """, valueName: "count"))
    var expect: PositiveCount?

    func validate() throws {
        if files.count(where: { $0 == "-" }) > 1 {
            throw ValidationError("-: expected standard input once at most")
        }
    }

    mutating func run() throws {
        let documents = try files.map { file in
            do throws(UVError) {
                return (
                    name: file == "-" ? "standard input" : file, bytes: try InputFile.read(file)
                )
            } catch {
                throw Failure.input("\(error)")
            }
        }
        let count = try Self.isRunResult(documents) ? mergeRuns(documents) : mergeTables(documents)
        if let expect, count != expect.count {
            throw Failure.failed("\(count) results came, \(expect.count) were expected")
        }
    }

    private typealias Document = (name: String, bytes: [UInt8])

    private static func isRunResult(_ documents: [Document]) -> Bool {
        documents.first?.bytes.withUnsafeBytes { RunResult.isResult($0) } ?? false
    }

    /// - Returns: how many runs are in it.
    private func mergeRuns(_ documents: [Document]) throws -> Int {
        var merged: RunResult?
        for (name, bytes) in documents {
            do {
                let result = try bytes.withUnsafeBytes {
                    try RunResult(reading: $0, name: name, kinds: ResultKinds.all)
                }
                if merged == nil { merged = result } else { try merged?.merge(result, name: name) }
            } catch let refusal as ResultRefusal {
                throw refusal.isMismatch ? Failure.usage("\(refusal)") : .input("\(refusal)")
            }
        }
        guard let merged else { return 0 }
        StandardStream.error.write(ResultText([("all", merged)]).text)
        try StandardStream.output.put(merged.json)
        return merged.runs.count
    }

    /// Of the instruments whose documents are still those of before.
    /// - Returns: how many results are in it.
    private func mergeTables(_ documents: [Document]) throws -> Int {
        var merge = ResultMerge(tables: ResultTables.all)
        for (name, bytes) in documents {
            do {
                try bytes.withUnsafeBytes { try merge.add($0, name: name) }
            } catch let refusal as ResultMerge.Refusal {
                throw refusal.isMismatch ? Failure.usage("\(refusal)") : .input("\(refusal)")
            }
        }
        StandardStream.error.write(merge.text)
        try StandardStream.output.put(merge.json)
        return merge.count
    }
}
