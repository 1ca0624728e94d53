import Foundation
import Testing

@testable import Report

/// The colours are numbers, so what they must do for readers can be computed.
@Suite struct PaletteTests {
    private typealias Linear = SIMD3<Double>

    /// What remains of linear red, green and blue: Machado, Oliveira and Fernandes, "A
    /// Physiologically-based Model for Simulation of Color Vision Deficiency" (2009), severity 1.
    private static let visions: [(name: String, rows: [SIMD3<Double>])] = [
        ("all colours", [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        (
            "no red",
            [
                [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                [-0.003882, -0.048116, 1.051998],
            ]
        ),
        (
            "no green",
            [
                [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                [-0.011820, 0.042940, 0.968881],
            ]
        ),
        (
            "no blue",
            [
                [1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                [0.004733, 0.691367, 0.303900],
            ]
        ),
    ]

    private func linear(_ hexadecimal: String) throws -> SIMD3<Double> {
        let number = try #require(Int(hexadecimal.dropFirst(), radix: 16))
        let channels = [16, 8, 0].map { Double(number >> $0 & 0xFF) / 255 }
        return SIMD3(channels.map { $0 <= 0.04045 ? $0 / 12.92 : pow(($0 + 0.055) / 1.055, 2.4) })
    }

    private func product(_ rows: [SIMD3<Double>], _ vector: SIMD3<Double>) -> SIMD3<Double> {
        SIMD3(rows.map { ($0 * vector).sum() })
    }

    /// Björn Ottosson's OKLab, in which a distance of 0.02 is just noticed.
    private func oklab(_ colour: SIMD3<Double>) -> SIMD3<Double> {
        let cones = product(
            [
                [0.4122214708, 0.5363325363, 0.0514459929],
                [0.2119034982, 0.6806995451, 0.1073969566],
                [0.0883024619, 0.2817188376, 0.6299787005],
            ], colour.clamped(lowerBound: .zero, upperBound: .one))
        return product(
            [
                [0.2104542553, 0.7936177850, -0.0040720468],
                [1.9779984951, -2.4285922050, 0.4505937099],
                [0.0259040371, 0.7827717662, -0.8086757660],
            ], SIMD3(cbrt(cones.x), cbrt(cones.y), cbrt(cones.z)))
    }

    private func contrast(_ a: SIMD3<Double>, _ b: SIMD3<Double>) -> Double {
        let weights = SIMD3(0.2126, 0.7152, 0.0722)
        let (x, y) = ((a * weights).sum() + 0.05, (b * weights).sum() + 0.05)
        return max(x, y) / min(x, y)
    }

    @Test(
        "tints stay apart for every reader, and text is legible", arguments: ["light", "dark"])
    func palette(scheme: String) throws {
        let values = scheme == "light" ? Stylesheet.light : Stylesheet.dark
        let colours = try Dictionary(uniqueKeysWithValues: values.map { ($0.0, try linear($0.1)) })
        let ground = try #require(colours["ground"])
        for name in ["ink", "soft", "good", "sf", "event"] {
            #expect(contrast(try #require(colours[name]), ground) >= 4.5, "\(name)")
        }
        let tints = ["sf", "sn"] + (0..<Tint.seriesCount).map { "s\($0)" }
        for (index, name) in tints.enumerated() {
            let colour = try #require(colours[name])
            #expect(contrast(colour, ground) >= 2, "\(name)")
            for other in tints[(index + 1)...] {
                let second = try #require(colours[other])
                for vision in Self.visions {
                    let difference =
                        oklab(product(vision.rows, colour)) - oklab(product(vision.rows, second))
                    let distance = (difference * difference).sum().squareRoot()
                    #expect(distance > 0.07, "\(name) and \(other), \(vision.name)")
                }
            }
        }
    }

    @Test("light and dark have the same names")
    func names() {
        #expect(Stylesheet.light.map(\.0) == Stylesheet.dark.map(\.0))
    }
}
