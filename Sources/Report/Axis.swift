/// A mark on an axis.
struct Tick: Equatable {
    /// 0 at the start of the axis, 1 at its end.
    var fraction: Double
    var label: String
    /// Left out where the page is narrow.
    var isFine = false
}

/// A linear scale or a logarithmic one for values that have no upper limit of their own.
struct ValueAxis: Equatable {
    /// No axis reaches further: beyond, steps could not be told from each other.
    private static let limit = 1e15

    let lower: Double
    let upper: Double
    let isLogarithmic: Bool
    let ticks: [Tick]

    /// From a round number at or below `range` to one at or above it; an empty range becomes one.
    init(
        linear range: ClosedRange<Double>,
        label: (_ value: Double, _ step: Double, _ largest: Double) -> String
    ) {
        let bounds = range.clamped(to: -Self.limit...Self.limit)
        let isEmpty = !(bounds.lowerBound < bounds.upperBound)
        let (lowest, highest) = isEmpty ? (0, 1) : (bounds.lowerBound, bounds.upperBound)
        let step = Self.step(for: (highest - lowest) / 6)
        // A hair of slack: 0.3 / 0.1 is a little more than 3.
        let first = (lowest / step + 1e-9).rounded(.down)
        let last = (highest / step - 1e-9).rounded(.up)
        lower = step * first
        upper = step * last
        isLogarithmic = false
        let largest = max(upper, -lower)
        ticks = stride(from: first, through: last, by: 1).map {
            Tick(fraction: ($0 - first) / (last - first), label: label($0 * step, step, largest))
        }
    }

    /// From a 1-2-5 number at or below `range` to one at or above it, at least a factor of ten.
    init(logarithmic range: ClosedRange<Double>, label: (Double) -> String) {
        let lowest = min(max(range.lowerBound, 1e-9), Self.limit)
        let highest = min(max(range.upperBound, lowest), Self.limit)
        var first = Self.stepIndex(atOrBelow: lowest)
        var last = Self.stepIndex(atOrBelow: highest)
        if Self.stepValue(last) < highest * (1 - 1e-9) { last += 1 }
        while last - first < 3 {
            last += 1
            if last - first < 3 { first -= 1 }
        }
        lower = Self.stepValue(first)
        upper = Self.stepValue(last)
        isLogarithmic = true
        let decades = Double(last - first) / 3
        var ticks: [Tick] = []
        for index in first...last {
            let isDecade = Self.remainder(index) == 0
            // Beyond two decades 2 and 5 would crowd each other.
            if decades > 2.1, !isDecade { continue }
            let value = Self.stepValue(index)
            ticks.append(
                Tick(
                    fraction: Self.logarithm(value / lower) / Self.logarithm(upper / lower),
                    label: label(value), isFine: !isDecade && decades > 1.1))
        }
        self.ticks = ticks
    }

    /// Where a value stands; outside the axis it counts as the nearer end.
    func fraction(_ value: Double) -> Double {
        guard value.isFinite else { return value > 0 ? 1 : 0 }
        let fraction =
            isLogarithmic
            ? Self.logarithm(max(value, lower) / lower) / Self.logarithm(upper / lower)
            : (value - lower) / (upper - lower)
        return min(max(fraction, 0), 1)
    }

    // MARK: - 1, 2, 5, 10, 20, 50, …

    /// The smallest 1-2-5 number that is not below `value`.
    static func step(for value: Double) -> Double {
        guard value.isFinite, value > 0 else { return 1 }
        let index = stepIndex(atOrBelow: value)
        let below = stepValue(index)
        return below >= value * (1 - 1e-9) ? below : stepValue(index + 1)
    }

    /// Three steps a decade, counted from 1.
    static func stepValue(_ index: Int) -> Double {
        let decade = (index - remainder(index)) / 3
        return power(of: decade) * [1, 2, 5][remainder(index)]
    }

    private static func remainder(_ index: Int) -> Int { ((index % 3) + 3) % 3 }

    private static func stepIndex(atOrBelow value: Double) -> Int {
        var index = 0
        while index < 60, stepValue(index + 1) <= value * (1 + 1e-9) { index += 1 }
        while index > -60, stepValue(index) > value * (1 + 1e-9) { index -= 1 }
        return index
    }

    private static func power(of ten: Int) -> Double {
        var power = 1.0
        for _ in 0..<ten.magnitude { power *= 10 }
        return ten < 0 ? 1 / power : power
    }

    /// The binary logarithm, from the exponent and a series: the standard library has none that
    /// works without the C library. Exact to about 1e-12 for positive finite values.
    static func logarithm(_ value: Double) -> Double {
        guard value.isFinite, value > 0 else { return 0 }
        let significand = value.significand
        // ln s = 2 artanh((s−1)/(s+1)); the argument is at most a third.
        let ratio = (significand - 1) / (significand + 1)
        var term = ratio
        var sum = 0.0
        for power in stride(from: 1.0, through: 25, by: 2) {
            sum += term / power
            term *= ratio * ratio
        }
        return Double(value.exponent) + 2 * sum / 0.693_147_180_559_945_3
    }
}

/// The horizontal axis of everything that happens in the course of a run.
struct TimeAxis: Equatable {
    /// Some thirty years, in seconds.
    private static let limit = 1e9

    let lower: Double
    let upper: Double
    let title: String
    let ticks: [Tick]

    /// - Parameter span: since the start of the run; an empty one becomes a second.
    init(_ span: ClosedRange<Duration>) {
        lower = min(max(span.lowerBound.inSeconds, -Self.limit), Self.limit)
        let end = min(span.upperBound.inSeconds, Self.limit)
        upper = end - lower >= 1e-6 ? end : lower + 1
        let length = upper - lower
        let (unit, name) =
            switch length {
            case ..<2: (1e-3, "milliseconds")
            case ..<180: (1.0, "seconds")
            case ..<10_800: (60.0, "minutes")
            default: (3600.0, "hours")
            }
        title = "\(name) since the start"
        let step = ValueAxis.step(for: length / unit / 11)
        let first = (lower / unit / step - 1e-9).rounded(.up)
        let last = (upper / unit / step + 1e-9).rounded(.down)
        // Halves where that leaves round numbers: 2 becomes 4 no sooner than 10.
        let digit = Self.leadingDigit(step)
        let isFew = last - first < 5
        let each = isFew ? 1.0 : digit == 2 ? 5 : 2
        ticks = stride(from: first, through: last, by: 1).map { [lower] index in
            let value = index * step
            return Tick(
                fraction: (value * unit - lower) / length,
                label: FigureText.tick(value, step: step),
                isFine: index.remainder(dividingBy: each) != 0)
        }
    }

    /// Where a moment stands; outside the span it counts as the nearer end.
    func fraction(_ moment: Duration) -> Double {
        min(max((moment.inSeconds - lower) / (upper - lower), 0), 1)
    }

    private static func leadingDigit(_ value: Double) -> Int {
        var size = value
        while size >= 10 { size /= 10 }
        while size < 0.9995 { size *= 10 }
        return Int(size.rounded())
    }
}
