import Benchmark
import Workloads

/// Every workload under ordo-one's benchmark runner: percentiles, comparison with a baseline.
let benchmarks: @Sendable () -> Void = {
    for work in Workload.all {
        Benchmark(
            work.name,
            configuration: .init(metrics: [.wallClock, .throughput], scalingFactor: .kilo)
        ) { benchmark in
            blackHole(work.run(benchmark.scaledIterations.count))
        }
    }
}
