// swift-tools-version: 6.2
import PackageDescription

// The rooms and their arrows; Tests/TidyTests reads every import line and fails on an arrow that
// is not in this table.
let package = Package(
    name: "sonde",
    products: [
        .library(name: "Reactor", targets: ["Reactor", "Pacing"]),
        .library(name: "HTTP", targets: ["HTTP", "HTTPCodec"]),
        .library(name: "TLS", targets: ["TLS", "Pacing"]),
        .library(name: "HTTPSecure", targets: ["HTTPSecure", "TLS"]),
        .library(name: "JSONCodec", targets: ["JSONCodec"]),
        .executable(name: "sonde", targets: ["sonde"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0", traits: []),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        .systemLibrary(
            name: "CLibuv", pkgConfig: "libuv-static",
            providers: [.apt(["libuv1-dev"])]),

        .systemLibrary(
            name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),

        // Pure: standard library only; bytes and time in, actions out.
        .target(name: "Pacing"),
        .target(name: "HTTPCodec", dependencies: ["Pacing"]),
        .target(name: "JSONCodec"),
        .target(name: "Telemetry", dependencies: ["Pacing", "JSONCodec"]),
        .target(name: "Result", dependencies: ["Telemetry", "JSONCodec", "Pacing"]),

        .target(name: "TLS", dependencies: ["COpenSSL", "Pacing"]),

        .target(name: "Report", dependencies: ["Telemetry"]),

        // Adapters: the loop, and HTTP on it.
        .target(name: "Reactor", dependencies: ["CLibuv", "Pacing"]),
        .target(
            name: "HTTP",
            dependencies: [
                "Reactor", "HTTPCodec", "Pacing",
                .product(name: "HTTPTypes", package: "swift-http-types"),
            ]),

        .target(name: "HTTPSecure", dependencies: ["HTTP", "TLS", "Reactor", "Pacing"]),

        // What all instruments share: the HTTP face of a role.
        .target(
            name: "Instrument",
            dependencies: [
                "HTTP", "HTTPCodec", "HTTPSecure", "Result", "Telemetry", "JSONCodec", "Pacing",
                "Reactor", "TLS",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
            ]),

        // Instruments.
        .target(
            name: "NetworkPolicy",
            dependencies: [
                "Instrument", "HTTP", "HTTPCodec", "Telemetry", "JSONCodec", "Pacing", "Reactor",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
            ]),

        .target(
            name: "EgressGateway",
            dependencies: [
                "Instrument", "HTTP", "HTTPCodec", "Result", "Telemetry", "JSONCodec", "Pacing",
                "Reactor",
                .product(name: "Logging", package: "swift-log"),
            ]),

        .target(
            name: "LongLived",
            dependencies: [
                "Instrument", "HTTP", "HTTPCodec", "Telemetry", "JSONCodec", "Pacing", "Reactor",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
            ]),

        .target(
            name: "ProxyReload",
            dependencies: [
                "Instrument", "HTTP", "HTTPCodec", "Telemetry", "JSONCodec", "Pacing", "Reactor",
                .product(name: "Logging", package: "swift-log"),
            ]),

        .executableTarget(
            name: "sonde",
            dependencies: [
                "EgressGateway", "LongLived", "NetworkPolicy", "ProxyReload", "Report",
                "Instrument", "HTTP", "HTTPCodec", "Result", "Telemetry", "JSONCodec", "Pacing",
                "Reactor", "TLS",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ]),

        // What the tests share.
        .target(
            name: "TestSupport",
            dependencies: [
                "Pacing", "Reactor", "TLS", .product(name: "Logging", package: "swift-log"),
            ],
            path: "Tests/TestSupport"),

        .testTarget(name: "PacingTests", dependencies: ["Pacing"]),
        .testTarget(
            name: "TLSTests", dependencies: ["TLS", "Reactor", "Pacing", "TestSupport"]),
        .testTarget(
            name: "HTTPSecureTests",
            dependencies: [
                "HTTPSecure", "HTTP", "TLS", "Reactor", "Pacing", "TestSupport",
                .product(name: "HTTPTypes", package: "swift-http-types"),
            ]),
        .testTarget(name: "HTTPCodecTests", dependencies: ["HTTPCodec", "Pacing"]),
        .testTarget(name: "JSONCodecTests", dependencies: ["JSONCodec", "Pacing"]),
        .testTarget(name: "TelemetryTests", dependencies: ["Telemetry", "JSONCodec", "Pacing"]),
        .testTarget(
            name: "ResultTests", dependencies: ["Result", "Telemetry", "JSONCodec", "Pacing"]),
        .testTarget(
            name: "ReportTests", dependencies: ["Report", "Telemetry", "Pacing", "TestSupport"]),
        .testTarget(
            name: "ReactorTests", dependencies: ["Reactor", "CLibuv", "Pacing", "TestSupport"]),
        .testTarget(
            name: "HTTPTests",
            dependencies: [
                "HTTP", "HTTPCodec", "Reactor", "Pacing", "TestSupport",
                .product(name: "HTTPTypes", package: "swift-http-types"),
            ]),
        .testTarget(
            name: "InstrumentTests",
            dependencies: [
                "Instrument", "HTTP", "Telemetry", "Pacing", "Reactor", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
            ]),
        .testTarget(
            name: "NetworkPolicyTests",
            dependencies: [
                "NetworkPolicy", "Instrument", "HTTP", "HTTPCodec", "Telemetry", "JSONCodec",
                "Pacing", "Reactor", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
            ]),
        .testTarget(
            name: "EgressGatewayTests",
            dependencies: [
                "EgressGateway", "Result", "Telemetry", "Pacing", "Reactor", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
            ]),
        .testTarget(
            name: "LongLivedTests",
            dependencies: [
                "LongLived", "Instrument", "HTTPCodec", "JSONCodec", "Result", "Telemetry",
                "Pacing",
                "Reactor", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
            ]),
        .testTarget(
            name: "ProxyReloadTests",
            dependencies: [
                "ProxyReload", "Instrument", "HTTP", "JSONCodec", "Telemetry", "Pacing", "Reactor",
                "TestSupport",
                .product(name: "Logging", package: "swift-log"),
            ]),
        .testTarget(
            name: "InteropTests",
            dependencies: [
                "HTTP", "HTTPSecure", "TLS", "Reactor", "NetworkPolicy", "ProxyReload", "Pacing",
                "TestSupport", "sonde",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
            ]),
        .testTarget(name: "CommandLineTests", dependencies: ["TestSupport", "sonde"]),
        .testTarget(name: "TidyTests"),
    ],
    swiftLanguageModes: [.v6]
)
