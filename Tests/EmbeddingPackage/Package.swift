// swift-tools-version: 6.2
import PackageDescription

// A tool of somebody else's that embeds the loop. It sees what any dependent package sees: the
// products, and nothing that is not public.
let package = Package(
    name: "embedding",
    dependencies: [.package(name: "sonde", path: "../..")],
    targets: [
        .target(
            name: "Embedding",
            dependencies: [
                .product(name: "Reactor", package: "sonde"),
                .product(name: "HTTP", package: "sonde"),
            ]),
        .testTarget(
            name: "EmbeddingTests",
            dependencies: ["Embedding", .product(name: "Reactor", package: "sonde")]),
    ],
    swiftLanguageModes: [.v6]
)
