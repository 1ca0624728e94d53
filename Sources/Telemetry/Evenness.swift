/// How evenly something is spread.
public enum Evenness {
    /// The largest count over the mean: 1 where all are equal, the number of counts where one has
    /// everything. Nil without counts, or where all are zero.
    public static func imbalance(_ counts: some Sequence<Double>) -> Double? {
        var (count, sum, largest) = (0.0, 0.0, 0.0)
        for value in counts {
            count += 1
            sum += value
            largest = max(largest, value)
        }
        return sum > 0 ? largest * count / sum : nil
    }

    /// Jain's fairness index: (Σx)² / (n·Σx²), 1 where all are equal, 1/n where one has
    /// everything. Nil without counts, or where all are zero.
    /// Source: Jain, Chiu, Hawe, "A Quantitative Measure of Fairness", DEC-TR-301, 1984.
    public static func jainIndex(_ counts: some Sequence<Double>) -> Double? {
        var (count, sum, squares) = (0.0, 0.0, 0.0)
        for value in counts {
            count += 1
            sum += value
            squares += value * value
        }
        return squares > 0 ? sum * sum / (count * squares) : nil
    }
}
