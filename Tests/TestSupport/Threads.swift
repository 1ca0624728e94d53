#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Threads of their own, which all do the same at once.
public final class Threads {
    private var ids: [pthread_t] = []

    private final class Start {
        let number: Int
        let body: @Sendable (Int) -> Void

        init(number: Int, body: @escaping @Sendable (Int) -> Void) {
            self.number = number
            self.body = body
        }
    }

    /// - Parameter body: gets the number of its thread, from 0.
    public init(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
        for number in 0..<count {
            let start = Unmanaged.passRetained(Start(number: number, body: body)).toOpaque()
            var id = pthread_t()
            let code = pthread_create(
                &id, nil,
                { start in
                    guard let start else { return nil }
                    let mine = Unmanaged<Start>.fromOpaque(start).takeRetainedValue()
                    mine.body(mine.number)
                    return nil
                }, start)
            precondition(code == 0, "no thread to be had")
            ids.append(id)
        }
    }

    /// Waits until each has returned.
    public func join() {
        for id in ids { pthread_join(id, nil) }
        ids = []
    }
}

/// A number for the thread that asks.
public func currentThread() -> UInt { UInt(bitPattern: pthread_self().hashValue) }
