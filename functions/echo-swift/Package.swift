// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "echo-swift",
    dependencies: [.package(name: "apus", path: "../..")],
    targets: [
        .executableTarget(
            name: "echo-swift", dependencies: [.product(name: "ApusFunction", package: "apus")],
            // What nothing refers to is left out: two thirds of the program.
            linkerSettings: [
                .unsafeFlags(["-Xlinker", "--gc-sections", "-Xlinker", "-s"], .when(configuration: .release))
            ])
    ]
)
