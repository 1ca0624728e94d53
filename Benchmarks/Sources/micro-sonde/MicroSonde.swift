import Workloads

/// Does one piece of work so many times, for whoever counts or times it from outside; without
/// arguments, times every piece.
///
///     micro-sonde [NAME COUNT]
@main
struct MicroSonde {
    static func main() {
        let arguments = CommandLine.arguments
        if arguments.count == 3, let count = Int(arguments[2]),
            let work = Workload.all.first(where: { $0.name == arguments[1] })
        {
            print(work.run(count))
        } else if arguments.count == 1 {
            for work in Workload.all {
                print("\(work.name) \(nanoseconds(work)) \(work.bytes ?? 0)")
            }
        } else {
            let names = Workload.all.map(\.name).joined(separator: ", ")
            print("usage: micro-sonde [NAME COUNT]; names: \(names)")
        }
    }

    /// Of one repetition: the best of seven rounds of about 50 ms.
    static func nanoseconds(_ work: Workload) -> Double {
        let clock = ContinuousClock()
        func time(_ count: Int) -> Double {
            let parts = clock.measure { _ = work.run(count) }.components
            return Double(parts.seconds) * 1e9 + Double(parts.attoseconds) / 1e9
        }
        var count = 1
        while time(count) < 20e6 { count *= 2 }
        return (0..<7).map { _ in time(count * 2) }.reduce(.infinity, min) / Double(count * 2)
    }
}
