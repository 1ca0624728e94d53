// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that what is compared against never becomes part of the product.
let package = Package(
    name: "sonde-benchmarks",
    dependencies: [.package(name: "sonde", path: "..")],
    targets: [
        .executableTarget(
            name: "codec-sonde", dependencies: [.product(name: "HTTP", package: "sonde")]),
        .executableTarget(
            name: "hello-sonde",
            dependencies: [
                .product(name: "HTTP", package: "sonde"),
                .product(name: "Reactor", package: "sonde"),
            ]),
    ],
    swiftLanguageModes: [.v6]
)
