import Reactor

/// Which sources may use a role's API.
struct AccessRule: Sendable {
    /// Empty for every source.
    let allowed: [CIDR]

    /// What a kubelet asks for, from an address of its node that nobody knows beforehand.
    private static let open = ["/healthz", "/readyz"]

    var isRestricted: Bool { !allowed.isEmpty }

    /// - Parameter source: nil for a peer that has gone, of which nobody knows any more.
    func admits(_ source: IPAddress?, to path: String) -> Bool {
        guard isRestricted, !AccessRule.open.contains(path) else { return true }
        guard let source else { return false }
        return allowed.contains { $0.contains(source) }
    }
}
