import ArgumentParser
import Reactor
import Result
import Telemetry

/// Where the result of a run goes, and what it must not say: the same flags for every instrument.
struct ResultOptions: ParsableArguments {
    @Option(
        name: .customLong("json"),
        help: ArgumentHelp(
            "Write the result as JSON, for sonde show and sonde merge; - for standard output.",
            valueName: "file"))
    var jsonPath: String?

    @Option(
        name: .customLong("csv"),
        help: ArgumentHelp(
            "Write every figure as a line of CSV; - for standard output.", valueName: "file"))
    var csvPath: String?

    @Option(
        help: ArgumentHelp(
            """
            Exit with 1 where this is so, or not known: 'delayms > 200ms', \
            'misses[refused].count > 0', 'delay.p99 > 1s'; keys as in the JSON. May be repeated.
            """, valueName: "condition"))
    var failOn: [Threshold] = []

    /// - Throws: `ValidationError` for a condition that no such result can meet, and for one file
    ///   that is named twice.
    func check(_ kind: ResultKind) throws {
        try ResultFiles.checkDistinct(["--json": jsonPath, "--csv": csvPath])
        for threshold in failOn {
            if let complaint = threshold.complaint(about: kind) {
                throw ValidationError("--fail-on \(complaint)")
            }
        }
    }

    /// The files, to be opened before the run.
    var files: ResultFiles { ResultFiles([jsonPath, csvPath]) }

    /// Writes the files and the summary, with the verdicts.
    /// - Throws: `Failure` (71) where something cannot be written, `ExitCode` (1) for a verdict.
    func finish(_ result: RunResult, _ files: ResultFiles, summary: String) throws {
        files.write(jsonPath) { result.json }
        files.write(csvPath) { result.csv }
        let verdicts = failOn.map { $0.line(result) + "\n" }.joined()
        try files.finish(summary + "\n" + verdicts)
        if failOn.contains(where: { $0.check(result) != .kept }) { throw ExitCode(1) }
    }
}

extension Threshold: ExpressibleByArgument {
    /// As on the command line.
    public init?(argument: String) {
        guard let threshold = try? Threshold(parsing: argument) else { return nil }
        self = threshold
    }
}

extension RunResult {
    /// Reads a file, or with `-` standard input.
    /// - Throws: `Failure`: 66 for what cannot be read or is no result.
    static func read(_ file: String) throws -> RunResult {
        do {
            let bytes = try InputFile.read(file)
            return try bytes.withUnsafeBytes {
                try RunResult(
                    reading: $0, name: file == "-" ? "standard input" : file,
                    kinds: ResultKinds.all)
            }
        } catch let error as UVError {
            throw Failure.input("\(error)")
        } catch let refusal as ResultRefusal {
            throw Failure.input("\(refusal)")
        }
    }
}
