import ArgumentParser
import Instrument
import Reactor
import Telemetry

struct MergeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "merge",
        abstract: "Make one result of those of several pods.",
        discussion: """
            Takes what `sonde longlived client --json` or `sonde reload bench --json` wrote, one \
            file for each pod. Counters are added, histograms merged bucket by bucket, and \
            percentiles, shares and indexes computed anew, so that they are those of one pod that \
            had done everything. The result is of the same kind and goes to standard output, a \
            table to standard error. Times of single pods (series, events) have no common clock \
            and are left out.

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
        var merge = ResultMerge(tables: ResultTables.all)
        for file in files {
            let name = file == "-" ? "standard input" : file
            do {
                let bytes = try InputFile.read(file)
                try bytes.withUnsafeBytes { try merge.add($0, name: name) }
            } catch let error as UVError {
                throw Failure.input("\(error)")
            } catch let refusal as ResultMerge.Refusal {
                throw refusal.isMismatch ? Failure.usage("\(refusal)") : .input("\(refusal)")
            }
        }
        StandardStream.error.write(merge.text)
        try StandardStream.output.put(merge.json)
        if let expect, merge.count != expect.count {
            throw Failure.failed("\(merge.count) results came, \(expect.count) were expected")
        }
    }
}
