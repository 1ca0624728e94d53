import Glibc

enum Output {
    /// The address has to get through a pipe before the loop starts.
    static func flush() { fflush(nil) }
}
