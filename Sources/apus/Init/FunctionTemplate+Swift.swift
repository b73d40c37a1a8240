extension FunctionTemplate {
    var nativeFiles: [File] {
        [
            File(path: "Package.swift", text: self.package),
            File(path: "Sources/\(self.name)/Main.swift", text: Self.swiftMain),
            File(path: "Sources/Greeting/Greeting.swift", text: Self.swiftGreeting),
            File(path: "Tests/GreetingTests/GreetingTests.swift", text: Self.swiftTest),
            // The program that the handler names is in the bundle anyway, and it is all that is needed.
            File(path: ".apusignore", text: "*\n"),
            File(path: ".gitignore", text: ".build/\n"),
        ]
    }

    private var package: String {
        """
        // swift-tools-version: 6.2
        import PackageDescription

        let package = Package(
            name: "\(self.name)",
            dependencies: [.package(name: "apus", path: "\(self.sdk)")],
            targets: [
                .executableTarget(
                    name: "\(self.name)", dependencies: ["Greeting", .product(name: "ApusFunction", package: "apus")],
                    // What nothing refers to is left out: two thirds of the program.
                    linkerSettings: [.unsafeFlags(["-Xlinker", "--gc-sections", "-Xlinker", "-s"], .when(configuration: .release))]),
                .target(name: "Greeting"),
                .testTarget(name: "GreetingTests", dependencies: ["Greeting"]),
            ]
        )

        """
    }

    private static let swiftMain = """
        import ApusFunction
        import Greeting

        @main
        struct Main {
            static func main() async {
                await Function { (person: Person, context: Context) in
                    context.log.info("greeting \\(person.name ?? "world")")
                    return greet(person)
                }.run()
            }
        }

        """

    private static let swiftGreeting = """
        public struct Person: Codable, Sendable {
            public var name: String?

            public init(name: String?) { self.name = name }
        }

        public struct Greeting: Codable, Sendable, Equatable {
            public var text: String
        }

        public func greet(_ person: Person) -> Greeting { Greeting(text: "Hello, \\(person.name ?? "world")!") }

        """

    private static let swiftTest = """
        import Greeting
        import Testing

        @Test func greetsByName() { #expect(greet(Person(name: "Ada")).text == "Hello, Ada!") }
        @Test func greetsTheWorldWithoutAName() { #expect(greet(Person(name: nil)).text == "Hello, world!") }

        """
}
