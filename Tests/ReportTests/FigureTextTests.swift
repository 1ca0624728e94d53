import Testing

@testable import Report

@Suite struct FigureTextTests {
    @Test(
        "lengths of time have three digits and the unit that fits",
        arguments: [
            (0, "0 s"), (1, "1.00 ns"), (999, "999 ns"), (999_600, "1.00 ms"),
            (1_000, "1.00 µs"), (165_200_000, "165 ms"), (999_499_999, "999 ms"),
            (999_600_000, "1.00 s"), (1_004_200_000, "1.00 s"), (61_000_000_000, "61.0 s"),
            (-58_400_000, "−58.4 ms"), (4_321_000_000_000, "4,321 s"),
        ])
    func durations(nanoseconds: Int64, expected: String) {
        let text = FigureText.duration(.nanoseconds(nanoseconds))
        #expect(text == expected.replacing(" ", with: "\u{A0}"))
    }

    @Test(
        "counts have their thousands grouped",
        arguments: [(0, "0"), (999, "999"), (1000, "1,000"), (-1_234_567, "−1,234,567")])
    func counts(count: Int, expected: String) {
        #expect(FigureText.count(count) == expected)
    }

    @Test(
        "a share is 100 % or 0 % only where it is exactly that",
        arguments: [
            (1.0, "100 %"), (0, "0 %"), (0.99999, ">99.9 %"), (0.0000001, "<0.001 %"),
            (0.291, "29.1 %"), (0.0123, "1.23 %"), (.nan, "–"),
        ])
    func percents(share: Double, expected: String) {
        #expect(FigureText.percent(share) == expected.replacing(" ", with: "\u{A0}"))
    }

    @Test(
        "no number makes it trap",
        arguments: [
            Double.nan, .infinity, -.infinity, 1e300, -1e300, 5e-324, .greatestFiniteMagnitude,
        ])
    func extremes(value: Double) {
        #expect(!FigureText.number(value).isEmpty)
        #expect(!FigureText.percent(value).isEmpty)
        #expect(!FigureText.duration(seconds: value).isEmpty)
        #expect(!FigureText.tick(value, step: value).isEmpty)
        #expect(svg(value).allSatisfy { "-.0123456789".contains($0) })
    }

    @Test(
        "numbers in SVG have at most two decimals",
        arguments: [(0, "0"), (1.5, "1.5"), (-2.345, "-2.35"), (33.333, "33.33"), (7.004, "7")])
    func attributes(value: Double, expected: String) {
        #expect(svg(value) == expected)
    }
}
