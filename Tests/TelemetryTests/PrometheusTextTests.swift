import Pacing
import Telemetry
import Testing

@Suite struct PrometheusTextTests {
    @Test("families have a head and samples, with labels and values escaped")
    func exposition() {
        var text = PrometheusText()
        text.family("sonde_probes_total", .counter, help: "Probes sent.\nPer \\ outcome \"x\".")
        text.sample(3, [("outcome", "refused")])
        text.sample(UInt64.max, [("outcome", "a\"b\\c\nd"), ("role", "é")])
        text.family("sonde_pending", .gauge, help: "Targets not answering yet.")
        text.sample(0.25)
        text.sample(-Double.infinity, [("k", "inf")])
        text.sample(Double.nan, [("k", "nan")])
        #expect(
            String(decoding: text.bytes, as: UTF8.self) == #"""
                # HELP sonde_probes_total Probes sent.\nPer \\ outcome "x".
                # TYPE sonde_probes_total counter
                sonde_probes_total{outcome="refused"} 3
                sonde_probes_total{outcome="a\"b\\c\nd",role="é"} 18446744073709551615
                # HELP sonde_pending Targets not answering yet.
                # TYPE sonde_pending gauge
                sonde_pending 0.25
                sonde_pending{k="inf"} -Inf
                sonde_pending{k="nan"} NaN

                """#)
    }

    @Test("a histogram's buckets are cumulative, inclusive and end with infinity")
    func histogram() {
        var histogram = BucketHistogram(upperBounds: [0.125, 1, 2.5])
        for value in [0.0625, 0.125, 0.25, 1, 2, 3, .nan] { histogram.observe(value) }
        histogram.observe(.milliseconds(2500))
        var text = PrometheusText()
        text.family("sonde_latency_seconds", .histogram, help: "Time to the first answer.")
        text.sample(histogram, [("role", "client")])
        #expect(
            String(decoding: text.bytes, as: UTF8.self) == """
                # HELP sonde_latency_seconds Time to the first answer.
                # TYPE sonde_latency_seconds histogram
                sonde_latency_seconds_bucket{role="client",le="0.125"} 2
                sonde_latency_seconds_bucket{role="client",le="1"} 4
                sonde_latency_seconds_bucket{role="client",le="2.5"} 6
                sonde_latency_seconds_bucket{role="client",le="+Inf"} 7
                sonde_latency_seconds_sum{role="client"} 8.9375
                sonde_latency_seconds_count{role="client"} 7

                """)
        #expect(histogram.count == 7)
    }

    @Test("a histogram without labels still names its bounds, an empty one is all zeros")
    func empty() {
        var text = PrometheusText()
        text.family("h", .histogram, help: "")
        text.sample(BucketHistogram(upperBounds: []))
        #expect(
            String(decoding: text.bytes, as: UTF8.self)
                == "# HELP h \n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 0\nh_sum 0\nh_count 0\n")
    }
}
