import JSONCodec

/// Writes metrics in the text exposition format of Prometheus, version 0.0.4.
///
/// Whoever counts keeps plain integers and histograms and writes them here when asked; there is no
/// registry to look anything up in.
///
///     var text = PrometheusText()
///     text.family("sonde_probes_total", .counter, help: "Probes sent.")
///     text.sample(refused, [("outcome", "refused")])
///     text.sample(answered, [("outcome", "answered")])
///
/// All samples of a family follow its head, as the format demands.
/// Source: prometheus.io/docs/instrumenting/exposition_formats.
public struct PrometheusText {
    /// What the TYPE line of a family says.
    public enum Kind: String, Sendable {
        case counter, gauge, histogram
    }

    /// Labels in the order in which they are to be written; names are [a-zA-Z_][a-zA-Z0-9_]*.
    public typealias Labels = [(name: StaticString, value: String)]

    /// The value of `Content-Type` to serve this with.
    public static let contentType: StaticString = "text/plain; version=0.0.4; charset=utf-8"

    /// What has been written so far; every line is complete.
    public private(set) var bytes: [UInt8]
    private var name: StaticString = ""

    /// - Parameter capacity: bytes to make room for at once.
    public init(capacity: Int = 4096) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    /// Begins a family: its HELP and TYPE lines.
    /// - Parameters:
    ///   - name: with its unit and, for a counter, `_total` at the end.
    ///   - help: one sentence.
    public mutating func family(_ name: StaticString, _ kind: Kind, help: String) {
        self.name = name
        append("# HELP ")
        append(name)
        bytes.append(UInt8(ascii: " "))
        appendEscaped(help, quotes: false)
        append("\n# TYPE ")
        append(name)
        bytes.append(UInt8(ascii: " "))
        bytes.append(contentsOf: kind.rawValue.utf8)
        bytes.append(UInt8(ascii: "\n"))
    }

    /// One sample of the family begun last.
    public mutating func sample(_ value: some FixedWidthInteger, _ labels: Labels = []) {
        begin("", labels)
        bytes.append(contentsOf: String(value).utf8)
        bytes.append(UInt8(ascii: "\n"))
    }

    /// One sample of the family begun last.
    public mutating func sample(_ value: Double, _ labels: Labels = []) {
        begin("", labels)
        append(value)
        bytes.append(UInt8(ascii: "\n"))
    }

    /// All samples of one histogram of the family begun last: cumulative buckets, sum and count.
    public mutating func sample(_ histogram: BucketHistogram, _ labels: Labels = []) {
        var cumulative: UInt64 = 0
        for (index, count) in histogram.counts.enumerated() {
            cumulative &+= count
            let isLast = index == histogram.upperBounds.count
            begin("_bucket", labels, bound: isLast ? .infinity : histogram.upperBounds[index])
            bytes.append(contentsOf: String(cumulative).utf8)
            bytes.append(UInt8(ascii: "\n"))
        }
        begin("_sum", labels)
        append(histogram.sum)
        bytes.append(UInt8(ascii: "\n"))
        begin("_count", labels)
        bytes.append(contentsOf: String(cumulative).utf8)
        bytes.append(UInt8(ascii: "\n"))
    }

    /// Name, labels and the space before the value.
    private mutating func begin(_ suffix: StaticString, _ labels: Labels, bound: Double? = nil) {
        append(name)
        append(suffix)
        if !labels.isEmpty || bound != nil {
            var separator = UInt8(ascii: "{")
            for label in labels {
                bytes.append(separator)
                separator = UInt8(ascii: ",")
                append(label.name)
                append("=\"")
                appendEscaped(label.value, quotes: true)
                bytes.append(UInt8(ascii: "\""))
            }
            if let bound {
                bytes.append(separator)
                append("le=\"")
                append(bound)
                bytes.append(UInt8(ascii: "\""))
            }
            bytes.append(UInt8(ascii: "}"))
        }
        bytes.append(UInt8(ascii: " "))
    }

    private mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    private mutating func append(_ value: Double) {
        if value.isNaN {
            append("NaN")
        } else if value.isInfinite {
            append(value < 0 ? "-Inf" : "+Inf")
        } else {
            JSONWriter.append(value, to: &bytes)
        }
    }

    /// In HELP a backslash and a line feed are escaped, in a label's value the quote as well.
    private mutating func appendEscaped(_ text: String, quotes: Bool) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): append("\\\\")
            case UInt8(ascii: "\n"): append("\\n")
            case UInt8(ascii: "\"") where quotes: append("\\\"")
            default: bytes.append(byte)
            }
        }
    }
}
