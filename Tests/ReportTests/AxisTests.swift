import Foundation
import Testing

@testable import Report

@Suite struct AxisTests {
    @Test(
        "a linear axis begins and ends on round numbers and has four to eight steps between",
        arguments: [
            (0.0...8, ["0", "2", "4", "6", "8"]),
            (0...10_400, ["0", "2,000", "4,000", "6,000", "8,000", "10,000", "12,000"]),
            (0...1, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
            (-0.9...0.3, ["−1.0", "−0.8", "−0.6", "−0.4", "−0.2", "0.0", "0.2", "0.4"]),
            (0...110_000, ["0", "20k", "40k", "60k", "80k", "100k", "120k"]),
            (0...3e9, ["0", "500M", "1,000M", "1,500M", "2,000M", "2,500M", "3,000M"]),
            (0...0, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ])
    func linear(range: ClosedRange<Double>, labels: [String]) {
        let axis = ValueAxis(linear: range) { value, step, _ in
            FigureText.tick(value, step: step)
        }
        #expect(axis.ticks.map(\.label) == labels)
        #expect(axis.ticks.first?.fraction == 0)
        #expect(axis.ticks.last?.fraction == 1)
    }

    @Test(
        "a logarithmic axis has 1, 2 and 5 where there is room, and decades alone where not",
        arguments: [
            (0.0008...0.031, ["500 µs", "1 ms", "2 ms", "5 ms", "10 ms", "20 ms", "50 ms"]),
            (0.0001...10, ["100 µs", "1 ms", "10 ms", "100 ms", "1 s", "10 s"]),
            (0.001...0.001, ["500 µs", "1 ms", "2 ms", "5 ms"]),
        ])
    func logarithmic(range: ClosedRange<Double>, labels: [String]) {
        let axis = ValueAxis(logarithmic: range) { FigureText.duration(seconds: $0, digits: 1) }
        #expect(axis.ticks.map { $0.label.replacing("\u{A0}", with: " ") } == labels)
        #expect(axis.lower <= range.lowerBound && axis.upper >= range.upperBound)
        let middle = (axis.lower * axis.upper).squareRoot()
        #expect(abs(axis.fraction(middle) - 0.5) < 1e-9)
    }

    @Test("the logarithm agrees with the C library's")
    func logarithm() {
        for exponent in stride(from: -40.0, to: 40, by: 0.37) {
            let value = pow(10, exponent)
            #expect(abs(ValueAxis.logarithm(value) - log2(value)) < 1e-10)
        }
    }

    @Test(
        "an axis over time has about ten ticks in the unit that fits, half of them if it is narrow",
        arguments: [
            (
                8.0, "seconds", ["0", "1", "2", "3", "4", "5", "6", "7", "8"],
                ["0", "2", "4", "6", "8"]
            ),
            (
                0.9, "milliseconds",
                ["0", "100", "200", "300", "400", "500", "600", "700", "800", "900"],
                ["0", "200", "400", "600", "800"]
            ),
            (
                20, "seconds", ["0", "2", "4", "6", "8", "10", "12", "14", "16", "18", "20"],
                ["0", "10", "20"]
            ),
            (
                600, "minutes", ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"],
                ["0", "2", "4", "6", "8", "10"]
            ),
            (
                18_000, "hours",
                ["0.0", "0.5", "1.0", "1.5", "2.0", "2.5", "3.0", "3.5", "4.0", "4.5", "5.0"],
                ["0.0", "1.0", "2.0", "3.0", "4.0", "5.0"]
            ),
        ])
    func time(seconds: Double, unit: String, labels: [String], coarse: [String]) {
        let axis = TimeAxis(.zero ... .seconds(seconds))
        #expect(axis.title == "\(unit) since the start")
        #expect(axis.ticks.map(\.label) == labels)
        #expect(axis.ticks.filter { !$0.isFine }.map(\.label) == coarse)
        #expect(axis.fraction(.seconds(seconds / 4)) == 0.25)
    }

    @Test("an empty span of time is a second long, and what lies outside counts as the nearer end")
    func emptySpan() {
        let axis = TimeAxis(.seconds(3) ... .seconds(3))
        #expect(axis.upper - axis.lower == 1)
        #expect(axis.fraction(.seconds(2)) == 0)
        #expect(axis.fraction(.seconds(5)) == 1)
    }

    @Test("each step of a tail axis is ten times rarer, down to one in the population")
    func tail() {
        #expect(TailAxis(count: 200).ticks.map(\.label) == ["0", "50", "90", "99", "99.9"])
        #expect(TailAxis(count: 0).ticks.map(\.label) == ["0", "50", "90", "99"])
        #expect(TailAxis(count: .max).ticks.last?.label == "99.9999")
        let axis = TailAxis(count: 1000)
        #expect(abs(axis.fraction(0.9) - 1.0 / 3) < 1e-9)
        #expect(abs(axis.fraction(0.99) - 2.0 / 3) < 1e-9)
        #expect(axis.fraction(1) == 1)
    }
}
