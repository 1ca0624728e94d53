import Pacing
import Reactor
import Telemetry

/// The metric families that all roles have.
enum CommonMetrics {
    static func writeBuild(role: String, to text: inout PrometheusText) {
        text.family("sonde_build_info", .gauge, help: "Always 1; the labels say what is running.")
        text.sample(
            1, [("version", Build.version), ("role", role), ("libuv", ProcessFigures.libuvVersion)])
    }

    /// Under the names that Prometheus' own client libraries use.
    /// - Parameter start: seconds since 1970-01-01T00:00:00Z.
    static func write(_ figures: ProcessFigures, start: Double, to text: inout PrometheusText) {
        text.family(
            "process_cpu_seconds_total", .counter, help: "Processor time, user and system.")
        text.sample(figures.processorTime.inSeconds)
        if let bytes = figures.residentBytes {
            text.family("process_resident_memory_bytes", .gauge, help: "Memory that is resident.")
            text.sample(bytes)
        }
        if let count = figures.openDescriptors {
            text.family("process_open_fds", .gauge, help: "Open file descriptors.")
            text.sample(count)
        }
        text.family("process_max_fds", .gauge, help: "File descriptors that may be open.")
        text.sample(figures.descriptorLimit)
        text.family(
            "process_start_time_seconds", .gauge, help: "When the process was started, since 1970.")
        text.sample(start)
    }

    static func write(_ meter: LoopMeter, to text: inout PrometheusText) {
        text.family(
            "sonde_loop_lag_seconds", .histogram,
            help: "By how much a timer that fires once a second was late.")
        text.sample(histogram(meter.lags))
        text.family(
            "sonde_loop_turn_seconds", .histogram,
            help: "For how long each turn of the event loop was busy, sleeping not included.")
        text.sample(histogram(meter.turns))
    }

    private static let bounds = LoopMeter.upperBounds.map(\.inSeconds)

    private static func histogram(_ tally: LoopMeter.Tally) -> BucketHistogram {
        BucketHistogram(upperBounds: bounds, counts: tally.counts, sum: tally.sum.inSeconds)
    }
}
