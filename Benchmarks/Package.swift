// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that what is compared against never becomes part of the product.
let sonde = { (name: String) in Target.Dependency.product(name: name, package: "sonde") }

let package = Package(
    name: "sonde-benchmarks",
    dependencies: [
        .package(name: "sonde", path: ".."),
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.0"),
        // Without its traits: jemalloc would have to be installed, and counts nothing here.
        .package(url: "https://github.com/ordo-one/benchmark.git", from: "1.38.0", traits: []),
    ],
    targets: [
        .executableTarget(
            name: "client-sonde",
            dependencies: [sonde("HTTP"), sonde("HTTPSecure"), sonde("Reactor")]),
        .executableTarget(
            name: "hello-sonde",
            dependencies: [sonde("HTTP"), sonde("HTTPSecure"), sonde("Reactor")]),
        .executableTarget(
            name: "hello-nio",
            dependencies: [
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]),
        .target(
            name: "Workloads", dependencies: [sonde("HTTP"), sonde("JSONCodec"), sonde("Reactor")]),
        .executableTarget(name: "micro-sonde", dependencies: ["Workloads"]),
        .executableTarget(
            name: "Micro",
            dependencies: ["Workloads", .product(name: "Benchmark", package: "benchmark")],
            path: "Micro",
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]),
    ],
    swiftLanguageModes: [.v6]
)
