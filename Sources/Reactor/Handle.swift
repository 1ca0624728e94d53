import CLibuv

/// One of libuv's handles, on the heap: the one place where they are made, held, closed and freed.
///
/// From ``hold(_:)`` until its close callback has run libuv holds the handle's owner, and with it
/// the memory, which is freed with the owner. So whatever the owner asks of a handle that is closed
/// is harmless.
struct Handle<Raw>: ~Copyable {
    let raw: UnsafeMutablePointer<Raw>

    init() { raw = .allocate(capacity: 1) }

    /// For a kind that begins with the fields of `Raw`.
    init<Kind>(of kind: Kind.Type) {
        raw = UnsafeMutablePointer<Kind>.allocate(capacity: 1).baseOf(Raw.self)
    }

    deinit { UnsafeMutableRawPointer(raw).deallocate() }

    /// The fields that all kinds begin with.
    var base: UnsafeMutablePointer<uv_handle_t> { raw.baseOf(uv_handle_t.self) }

    /// libuv has initialized the handle: it holds `owner` until it is closed.
    func hold(_ owner: AnyObject) {
        base.pointee.data = Unmanaged.passRetained(owner).toOpaque()
    }

    /// The same for an owner that waits for the closing, and must not be held.
    func know(_ owner: AnyObject) {
        base.pointee.data = Unmanaged.passUnretained(owner).toOpaque()
    }

    /// Whether the loop goes on running for this handle while it is active.
    var keepsLoopAlive: Bool {
        get { uv_has_ref(base) != 0 }
        nonmutating set { if newValue { uv_ref(base) } else { uv_unref(base) } }
    }

    /// Closes it, for an owner that was held. Idempotent.
    func close() {
        close {
            guard let data = $0?.pointee.data else { return }
            Unmanaged<AnyObject>.fromOpaque(data).release()
        }
    }

    /// Closes it, and calls when libuv is done with it. Idempotent.
    func close(_ onClose: @convention(c) (UnsafeMutablePointer<uv_handle_t>?) -> Void) {
        if uv_is_closing(base) == 0 { uv_close(base, onClose) }
    }
}

/// A loop, for what it may hold itself, and what therefore must not hold it.
@usableFromInline
struct LoopReference {
    private let kept: EventLoop?
    @usableFromInline let loop: Unmanaged<EventLoop>

    /// - Parameter ownedByLoop: the loop outlives whoever has this.
    init(_ loop: EventLoop, ownedByLoop: Bool) {
        kept = ownedByLoop ? nil : loop
        self.loop = .passUnretained(loop)
    }

    var isOwnedByLoop: Bool { kept == nil }

    /// Without touching reference counts, which the end of the loop no longer allows.
    @inlinable @inline(__always)
    func with<Result>(_ body: (EventLoop) -> Result) -> Result {
        loop._withUnsafeGuaranteedRef(body)
    }
}

extension UnsafeMutablePointer {
    /// libuv's kinds begin with the fields of the kind that they are a kind of.
    @inline(__always)
    func baseOf<Base>(_ base: Base.Type) -> UnsafeMutablePointer<Base> {
        UnsafeMutableRawPointer(self).assumingMemoryBound(to: Base.self)
    }

    /// In a callback: does something with the owner of this handle or request, whose first field
    /// is `data`.
    @inline(__always)
    func withOwner<Owner: AnyObject>(_ type: Owner.Type, _ body: (Owner) -> Void) {
        guard let data = UnsafeRawPointer(self).load(as: UnsafeMutableRawPointer?.self) else {
            return
        }
        Unmanaged<Owner>.fromOpaque(data)._withUnsafeGuaranteedRef(body)
    }
}
