/// The design's table: which room may import which.
///
/// A new room, or a new arrow, is a decision about the house: it is made here and in Package.swift
/// together, and nothing imports upward.
struct Room {
    var ours: Set<String> = []
    var external: Set<String> = []

    /// Standard library only, no clock, no socket, no global random: bytes and time come in.
    var isPure = false
}

enum Rooms {
    private static let below: Set<String> = [
        "HTTP", "HTTPCodec", "JSONCodec", "Pacing", "Reactor", "Result", "Telemetry",
    ]
    private static let instrument = below.union(["Instrument"])

    static let table: [String: Room] = [
        "CLibuv": Room(),
        "Pacing": Room(isPure: true),
        "HTTPCodec": Room(ours: ["Pacing"], isPure: true),
        "JSONCodec": Room(isPure: true),
        "Telemetry": Room(ours: ["JSONCodec", "Pacing"], isPure: true),
        "Result": Room(ours: ["JSONCodec", "Pacing", "Telemetry"], isPure: true),
        "Reactor": Room(ours: ["CLibuv", "Pacing"], external: ["Synchronization"]),
        "HTTP": Room(ours: ["HTTPCodec", "Pacing", "Reactor"], external: ["HTTPTypes"]),
        "Instrument": Room(
            ours: below.union(["HTTPSecure", "TLS"]), external: ["HTTPTypes", "Logging"]),
        "NetworkPolicy": Room(ours: instrument, external: ["HTTPTypes", "Logging"]),
        "EgressGateway": Room(ours: instrument, external: ["Logging"]),
        "ProxyReload": Room(ours: instrument, external: ["Logging"]),
        "LongLived": Room(ours: instrument, external: ["HTTPTypes", "Logging"]),
        "COpenSSL": Room(),
        "TLS": Room(ours: ["COpenSSL", "Pacing"]),
        "HTTPSecure": Room(ours: ["HTTP", "Pacing", "Reactor", "TLS"]),
        "Report": Room(ours: ["Telemetry"], isPure: true),
        "sonde": Room(
            ours: instrument.union([
                "EgressGateway", "LongLived", "NetworkPolicy", "ProxyReload", "Report", "TLS",
            ]),
            external: ["ArgumentParser", "Logging"]),
    ]

    /// Everything else a room holds besides Swift files.
    static let otherFiles: [String: Set<String>] = [
        "CLibuv": ["module.modulemap", "shim.h"], "COpenSSL": ["module.modulemap", "shim.h"],
    ]

    static let topLevel: Set<String> = [
        ".ci", ".dockerignore", ".gitignore", ".spi.yml", ".swift-format", "Benchmarks",
        "CHANGELOG.md", "CONTRIBUTING.md",
        "Containerfile", "LICENSE", "Makefile", "Package.swift", "README.md", "Sources", "Tests",
        "charts",
    ]

    /// Libraries that open nothing and read no clock of their own where they are given bytes: a
    /// machine may wrap one.
    static let sansIO: Set<String> = ["COpenSSL"]

    /// The room of `Sources/<room>/…`.
    static func room(of path: String) -> Substring? {
        let parts = path.split(separator: "/")
        return parts.count > 2 && parts[0] == "Sources" ? parts[1] : nil
    }

    /// Whether this file is a machine, or stands in a room that holds nothing else.
    static func isPure(_ path: String) -> Bool {
        guard let room = room(of: path) else { return false }
        return table[String(room)]?.isPure == true || path.hasSuffix("Machine.swift")
    }
}

/// Fails on an import that the table does not have.
func importFindings(_ source: SourceText, table: [String: Room] = Rooms.table) -> [Finding] {
    guard let name = Rooms.room(of: source.path), let room = table[String(name)] else { return [] }
    let isMachine = source.path.hasSuffix("Machine.swift")
    return source.imports.compactMap { index, module in
        if room.isPure || isMachine {
            let isPure = table[module]?.isPure == true
            let isWrapped = !room.isPure && Rooms.sansIO.contains(module)
            if isPure || isWrapped, room.ours.contains(module) { return nil }
            let file = room.isPure ? "\(name) is a pure room" : "a machine is pure"
            return source.finding(line: index, "\(file) and may not import \(module)")
        }
        if room.ours.contains(module) || room.external.contains(module) { return nil }
        return source.finding(line: index, "\(name) may not import \(module)")
    }
}

/// Fails on a file that has no place in the design: at the top, in Sources, or in no room.
func strayFindings(paths: [String]) -> [Finding] {
    paths.compactMap { path in
        let parts = path.split(separator: "/").map(String.init)
        if !Rooms.topLevel.contains(parts[0]) {
            return Finding(path: path, line: 1, what: "stray on the top level")
        }
        guard parts[0] == "Sources" else { return nil }
        guard parts.count > 2, Rooms.table[parts[1]] != nil else {
            return Finding(path: path, line: 1, what: "stands in no room of the table")
        }
        let others = Rooms.otherFiles[parts[1]] ?? []
        let belongs =
            others.contains(parts[2...].joined(separator: "/"))
            || path.hasSuffix(".swift") && parts[1] != "CLibuv"
            || parts.count == 4 && parts[2] == "\(parts[1]).docc" && path.hasSuffix(".md")
        return belongs ? nil : Finding(path: path, line: 1, what: "stray in \(parts[1])")
    }
}

extension SourceText {
    /// The modules this file imports, with the index of the line.
    var imports: [(line: Int, module: String)] {
        let statement = /(?:^|;)\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:\w+\s+)?import\s+([\w. ]+)/
        let kinds: Set<Substring> = [
            "actor", "class", "enum", "func", "let", "protocol", "struct", "typealias", "var",
        ]
        return code.indices.filter { code[$0].contains("import") }.flatMap { index in
            code[index].matches(of: statement).compactMap { match in
                let words = match.1.split(whereSeparator: { $0 == " " || $0 == "." })
                guard let module = words.first(where: { !kinds.contains($0) }) else { return nil }
                return (index, String(module))
            }
        }
    }
}
