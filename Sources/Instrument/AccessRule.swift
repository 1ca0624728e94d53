import Reactor

/// Which sources may use a role's API.
public struct AccessRule: Sendable {
    /// Empty for every source.
    public let allowed: [CIDR]
    /// Whether this machine's own addresses (127.0.0.0/8, ::1) may, though `allowed` does not name
    /// them: what `kubectl port-forward` brings into a pod, kube-burner's traffic among it, comes
    /// from there.
    public let admitsLoopback: Bool

    /// What a kubelet asks for, from an address of its node that nobody knows beforehand.
    private static let open = ["/healthz", "/readyz"]

    /// Everyone may, where nothing is given.
    public init(allowed: [CIDR] = [], loopback: Bool = true) {
        self.allowed = allowed
        admitsLoopback = loopback
    }

    /// Whether there is anybody who may not.
    public var isRestricted: Bool { !allowed.isEmpty }

    /// - Parameter source: nil for a peer that has gone, of which nobody knows any more.
    func admits(_ source: IPAddress?, to path: String) -> Bool {
        guard isRestricted, !AccessRule.open.contains(path) else { return true }
        guard let source else { return false }
        return admitsLoopback && source.isLoopback || allowed.contains { $0.contains(source) }
    }
}
