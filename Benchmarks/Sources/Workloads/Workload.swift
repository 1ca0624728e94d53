/// A piece of work small enough that wall time says little about it: done over and over, it is
/// timed by `Micro`, and its instructions are counted by running `micro-sonde` under callgrind.
public struct Workload: Sendable {
    /// As on the command line.
    public let name: String
    /// Bytes that one repetition reads or writes; nil where that says nothing.
    public let bytes: Int?
    /// Does it so many times; returns something that depends on all of them.
    public let run: @Sendable (_ count: Int) -> Int

    /// Every workload.
    public static let all: [Workload] =
        HeadWork.all + JSONWork.all + PacingWork.all
}
