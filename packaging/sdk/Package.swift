// swift-tools-version: 6.2
import PackageDescription

/// What functions in Swift depend on, as it is installed: the same sources as in the repository, without what builds the server.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
]

let package = Package(
    name: "apus",
    products: [.library(name: "ApusFunction", targets: ["ApusFunction"])],
    targets: [
        .target(name: "ApusCore", swiftSettings: settings),
        .target(name: "ApusFunction", dependencies: ["ApusCore"], swiftSettings: settings),
    ]
)
