import Pacing
import Reactor

/// A role of an instrument as a long-running process has it.
public protocol Service: AnyObject {
    /// Begins to listen.
    /// - Throws: ``UVError`` with the address that cannot be had.
    func start() throws(UVError)
    /// Takes nothing new, finishes what is under way within `grace`, closes everything it has open
    /// on its loop, and calls `completion` once.
    func drain(grace: Duration, completion: @escaping () -> Void)
}
