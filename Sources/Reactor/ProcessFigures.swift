import CLibuv
import Pacing

/// What this process uses of its machine, as the kernel counts it.
public struct ProcessFigures: Sendable {
    /// Processor time, of all threads, in user and in system mode.
    public let processorTime: Duration
    /// Memory that is resident, in bytes; nil where the system does not say.
    public let residentBytes: Int?
    /// Open descriptors; nil where the system does not say.
    public let openDescriptors: Int?
    /// How many descriptors it may have open.
    public let descriptorLimit: Int

    /// Asks the kernel: some ten microseconds, however many descriptors are open (since Linux 6.2;
    /// before, they have to be counted one by one).
    public static func read() -> ProcessFigures {
        var resident = 0
        let hasResident = uv_resident_set_memory(&resident) == 0
        return ProcessFigures(
            processorTime: .nanoseconds(max(sonde_processor_nanoseconds(), 0)),
            residentBytes: hasResident ? resident : nil,
            openDescriptors: Int(exactly: sonde_open_descriptors()).flatMap { $0 < 0 ? nil : $0 },
            descriptorLimit: EventLoop.descriptorLimit)
    }

    /// Gives memory that was freed back to the kernel, which allocators do only in part: for after
    /// a flood. Takes some milliseconds where there is much.
    public static func giveMemoryBack() { sonde_give_memory_back() }

    /// The version of libuv that is linked in.
    public static var libuvVersion: String { String(cString: uv_version_string()) }
}
