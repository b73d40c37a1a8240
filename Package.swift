// swift-tools-version: 6.2
import PackageDescription

/// For what authors of functions depend on, also by a tag: a package that is taken by its version may have no unsafe flags.
/// `make` gives every target the flag for optimising across modules on the command line instead.
let leanSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .treatAllWarnings(as: .error),
]

/// The settings every other Swift target shares.
let settings = leanSettings + [.unsafeFlags(["-cross-module-optimization"], .when(configuration: .release))]

/// For the modules that an event passes through. Checks of exclusive access at run time took a fifth of the loop's time for each
/// event; debug builds, and so every test, keep them, and bounds and preconditions stay everywhere.
let hotSettings: [SwiftSetting] =
    settings + [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]

let cSettings: [CSetting] = [.unsafeFlags(["-Wall", "-Wextra", "-Werror", "-O2"])]

/// For programs in C alone: the Swift libraries that the linker is given anyway are left out, as nothing needs them.
let cOnly = LinkerSetting.unsafeFlags(["-nostartfiles", "-static-stdlib", "-Xlinker", "--gc-sections"])

/// A C library of Debian's behind a module of its own: a module map and a shim header, nothing else.
func system(_ name: String, pkgConfig: String?, apt: String) -> Target {
    .systemLibrary(name: name, path: "Sources/System/\(name)", pkgConfig: pkgConfig, providers: [.apt([apt])])
}

func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func hotLibrary(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: hotSettings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(
        name: name, dependencies: dependencies + ["ApusTestSupport"], exclude: exclude, swiftSettings: settings)
}

let package = Package(
    name: "apus",
    products: [
        .executable(name: "apus", targets: ["apus"]),
        .library(name: "ApusFunction", targets: ["ApusFunction"]),
        .executable(name: "apus-bench", targets: ["apus-bench"]),
        .executable(name: "nursery", targets: ["nursery"]),
        .executable(name: "egress", targets: ["egress"]),
        .executable(name: "exec-worker", targets: ["exec-worker"]),
        .executable(name: "mcp-worker", targets: ["mcp-worker"]),
        .executable(name: "echo-native", targets: ["echo-native"]),
        .library(name: "apus-zygote", type: .dynamic, targets: ["zygote"]),
    ],
    targets: [
        system("CUV", pkgConfig: "libuv", apt: "libuv1-dev"),
        system("CLMDB", pkgConfig: nil, apt: "liblmdb-dev"),
        system("CSQLite", pkgConfig: "sqlite3", apt: "libsqlite3-dev"),
        system("CHTTPD", pkgConfig: "libmicrohttpd", apt: "libmicrohttpd-dev"),
        system("CCurl", pkgConfig: "libcurl", apt: "libcurl4-gnutls-dev"),
        system("CGnuTLS", pkgConfig: "gnutls", apt: "libgnutls28-dev"),
        system("CYAML", pkgConfig: "yaml-0.1", apt: "libyaml-dev"),
        system("CRDKafka", pkgConfig: "rdkafka", apt: "librdkafka-dev"),
        .target(
            name: "CSimdJSON",
            path: "Sources/System/CSimdJSON",
            linkerSettings: [.linkedLibrary("simdjson"), .linkedLibrary("stdc++")]
        ),
        .target(
            name: "ConsoleAssets",
            exclude: [
                "page.html", "style.css", "icon.svg", "main.js", "api.js", "core.js", "charts.js", "parts.js",
                "overview.js",
                "functions.js", "topics.js", "deliveries.js", "invocations.js", "letters.js",
            ],
            cSettings: cSettings),
        .target(name: "CShims", cSettings: cSettings),
        // Apart from the others, so that what speaks no HTTP of these libraries is not linked with them.
        .target(name: "CHTTPShims", dependencies: ["CHTTPD", "CCurl"], cSettings: cSettings),
        // librdkafka's, apart for the same reason.
        .target(name: "CKafkaShims", dependencies: ["CRDKafka"], cSettings: cSettings),

        .target(name: "ApusCore", swiftSettings: leanSettings),
        .target(name: "ApusFunction", dependencies: ["ApusCore"], swiftSettings: leanSettings),
        library("ApusJSON", ["ApusCore", "CSimdJSON"]),
        library("ApusCrypto", ["ApusCore", "CGnuTLS"]),
        library("ApusManifest", ["ApusCore", "ApusJSON", "ApusSchema", "CYAML"]),
        library("ApusSchema", ["ApusCore", "ApusJSON"]),
        library("ApusTools", ["ApusCore", "ApusCrypto", "ApusJSON", "ApusManifest", "ApusSchema"]),
        hotLibrary("ApusEngine", ["ApusCore"]),
        library("ApusTelemetry", ["ApusCore"]),
        hotLibrary("ApusLoop", ["ApusCore", "CUV", "CShims"]),
        hotLibrary("ApusHTTP", ["ApusCore", "ApusLoop", "CUV", "CHTTPD", "CCurl", "CHTTPShims", "CShims"]),
        hotLibrary("ApusLog", ["ApusCore", "ApusLoop", "ApusCrypto", "CLMDB", "CRDKafka", "CKafkaShims", "CShims"]),
        library("ApusSandbox", ["ApusCore", "ApusLoop", "CShims"]),
        library("ApusEgress", ["ApusCore", "ApusCrypto", "ApusLoop", "CShims"]),
        hotLibrary("ApusFleet", ["ApusCore", "ApusEngine"]),
        hotLibrary(
            "ApusHost", ["ApusCore", "ApusCrypto", "ApusEngine", "ApusLoop", "ApusTelemetry", "ApusJSON", "CShims"]),
        library(
            "ApusStore", ["ApusCore", "ApusJSON", "ApusCrypto", "ApusManifest", "ApusEngine", "CSQLite", "CShims"]),
        library(
            "ApusServer",
            [
                "ApusCore", "ApusJSON", "ApusCrypto", "ApusManifest", "ApusEngine", "ApusTelemetry", "ApusLoop",
                "ApusHTTP", "ApusHost",
                "ApusSandbox", "ApusEgress", "ApusStore", "ApusSchema", "ApusTools", "ConsoleAssets", "CShims",
            ]
        ),
        library("ApusTestSupport", ["ApusCore", "ApusEngine", "ApusJSON", "ApusLog", "ApusLoop", "CShims"]),

        .executableTarget(
            name: "apus",
            dependencies: [
                "ApusCore", "ApusJSON", "ApusCrypto", "ApusManifest", "ApusEngine", "ApusTelemetry", "ApusLoop",
                "ApusHTTP", "ApusLog",
                "ApusSandbox", "ApusEgress", "ApusHost", "ApusStore", "ApusSchema", "ApusTools", "ApusFleet",
                "ApusServer",
                "CShims",
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "egress", dependencies: ["ApusEgress"], swiftSettings: settings,
            // It runs in a root of its own, where no toolchain lies.
            linkerSettings: [.unsafeFlags(["-static-stdlib", "-Xlinker", "--gc-sections", "-Xlinker", "--as-needed"])]
        ),
        .executableTarget(
            name: "apus-bench",
            dependencies: [
                "ApusCore", "ApusJSON", "ApusEngine", "ApusFleet", "ApusLoop", "ApusHTTP", "ApusLog", "ApusSandbox",
                "ApusHost", "ApusSchema", "ApusTools", "ApusTelemetry", "ApusTestSupport", "BenchFloors", "CShims",
            ],
            swiftSettings: settings
        ),
        .target(
            name: "BenchFloors",
            dependencies: ["CLMDB", "CRDKafka"],
            path: "Sources/BenchFloors",
            cSettings: cSettings
        ),
        .executableTarget(
            name: "nursery",
            path: "sandbox/nursery",
            cSettings: cSettings,
            linkerSettings: [.linkedLibrary("seccomp"), cOnly]
        ),
        .target(
            name: "zygote", path: "sandbox/zygote", cSettings: cSettings,
            linkerSettings: [cOnly, .unsafeFlags(["-Xlinker", "--as-needed"])]),
        .executableTarget(name: "probe", path: "sandbox/probes/probe", cSettings: cSettings, linkerSettings: [cOnly]),
        .target(name: "WorkerCommon", path: "sandbox/runtimes/common", exclude: ["README.md"], cSettings: cSettings),
        .executableTarget(
            name: "exec-worker", dependencies: ["WorkerCommon"], path: "sandbox/runtimes/exec",
            exclude: ["tests", "README.md"], cSettings: cSettings, linkerSettings: [cOnly]),
        .executableTarget(
            name: "mcp-worker", dependencies: ["WorkerCommon"], path: "sandbox/runtimes/mcp",
            exclude: ["tests", "README.md"], cSettings: cSettings, linkerSettings: [cOnly]),
        .executableTarget(
            name: "echo-native", path: "sandbox/probes/echo-native", cSettings: cSettings, linkerSettings: [cOnly]),

        tests("ApusCoreTests", ["ApusCore"]),
        tests("ApusFunctionTests", ["ApusFunction", "ApusCore"]),
        tests("ApusJSONTests", ["ApusJSON"]),
        tests("ApusCryptoTests", ["ApusCrypto"]),
        tests("ApusManifestTests", ["ApusManifest", "ApusJSON"]),
        tests("ApusSchemaTests", ["ApusSchema", "ApusCore", "ApusJSON"]),
        tests("ApusToolsTests", ["ApusTools", "ApusCore", "ApusCrypto", "ApusJSON", "ApusManifest", "ApusSchema"]),
        tests("ApusEngineTests", ["ApusEngine", "ApusManifest", "ApusJSON"]),
        tests("ApusTelemetryTests", ["ApusTelemetry"]),
        tests("ApusLoopTests", ["ApusLoop"]),
        tests("ApusHTTPTests", ["ApusHTTP", "ApusLoop"]),
        tests("ApusLogTests", ["ApusLog", "ApusCrypto", "CLMDB", "CRDKafka", "CKafkaShims"]),
        tests("ApusSandboxTests", ["ApusCore", "ApusSandbox", "ApusLoop", "CShims"]),
        tests("ApusEgressTests", ["ApusEgress", "ApusCore", "ApusCrypto", "ApusLoop", "ApusHTTP"]),
        tests(
            "ApusHostTests",
            ["ApusHost", "ApusEngine", "ApusLoop", "ApusLog", "ApusTelemetry", "CShims", "echo-native"]),
        tests("ApusStoreTests", ["ApusStore", "ApusCrypto", "ApusManifest", "ApusJSON"]),
        tests(
            "ApusServerTests",
            [
                "ApusServer", "ApusCrypto", "ApusEngine", "ApusHTTP", "ApusJSON", "ApusLog", "ApusLoop", "ApusManifest",
                "ApusSandbox",
                "ApusStore", "ApusTelemetry", "ApusTools",
                "CGnuTLS", "CShims", "CSQLite",
            ]
        ),
        tests("CommandTests", ["apus", "ApusCrypto"]),
        tests("SimulationTests", ["ApusEngine", "ApusFleet"]),
        tests("SandboxTests", ["ApusCore", "ApusSandbox", "ApusLoop", "CShims"]),
        tests(
            "IntegrationTests", ["ApusEngine", "ApusJSON", "ApusHTTP", "ApusLog", "ApusLoop", "CShims"],
            exclude: ["Peers"]),
    ],
    cxxLanguageStandard: .cxx17
)
