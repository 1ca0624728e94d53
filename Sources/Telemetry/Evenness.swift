/// How evenly something is spread over those that share it.
public enum Evenness {
    /// What one of them had, and the share of all (0 to 1) that would have been fair for it: with
    /// n that were there all the time 1/n, less for one that was there for a while.
    public typealias Portion = (count: Double, fair: Double)

    /// With fewer expected than this, a count says little of its own.
    private static let judged = 10.0

    /// The largest count over its own fair share: 1 where all are fair, the number of those that
    /// share where one has everything. Nil without counts, or where all are zero.
    ///
    /// Those whose fair share would have been fewer than ten are passed over where others have
    /// more.
    public static func imbalance(_ portions: some Collection<Portion>) -> Double? {
        let sum = portions.reduce(0) { $0 + $1.count }
        let whole = whole(portions)
        func largest(_ least: Double) -> Double? {
            portions.lazy.filter { $0.fair > 0 && sum * $0.fair >= least * whole }
                .map { $0.count * whole / (sum * $0.fair) }.max()
        }
        return sum > 0 ? largest(judged) ?? largest(0) : nil
    }

    /// Jain's fairness index, each count weighed by its fair share: (Σx)² / Σ(x²/f), which for n
    /// equal shares is (Σx)² / (n·Σx²): 1 where all are fair, 1/n where one has everything. Nil
    /// without counts, or where all are zero.
    /// Source: Jain, Chiu, Hawe, "A Quantitative Measure of Fairness", DEC-TR-301, 1984, there for
    /// equal shares.
    public static func jainIndex(_ portions: some Collection<Portion>) -> Double? {
        var (sum, squares) = (0.0, 0.0)
        for portion in portions where portion.fair > 0 {
            sum += portion.count
            squares += portion.count * portion.count / portion.fair
        }
        return squares > 0 ? sum * sum / (whole(portions) * squares) : nil
    }

    /// All fair shares: what is missing to 1 is for others that are not among these. Above 1 where
    /// several observers each saw only some of those that shared.
    private static func whole(_ portions: some Collection<Portion>) -> Double {
        max(1, portions.reduce(0) { $0 + $1.fair })
    }
}
