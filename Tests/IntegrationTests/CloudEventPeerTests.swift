import ApusTestSupport
import Glibc
import Testing

/// The Python SDK of CloudEvents as a peer: it writes requests and records in every mode, and reads back what Apus made of them.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct CloudEventPeerTests {
    private static let root = InstalledTree.packageRoot
    private static let packages = "\(root)/.build/peers/cloudevents"
    private static let schema = "\(root)/../shared/data/cloudevents.schema.json"

    /// Installs packages of Python's index once; kept with what was built.
    /// - Parameter probe: what is there when they are.
    /// - Returns: why they cannot be had; nil when they are there.
    private static func missing(_ packages: [String], in folder: String, probe: String) throws -> String? {
        if access("\(folder)/\(probe)", R_OK) == 0 { return nil }
        let pip = try ChildProcess(
            "/usr/bin/python3",
            [
                "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", "--target",
                folder,
            ] + packages, in: "/var/tmp")
        if pip.wait(seconds: 120) == 0 { return nil }
        return "the package index gave no \(packages.joined(separator: ", ")): \(pip.errors.suffix(200))"
    }

    private static func run(_ peer: String, _ arguments: [String], seconds: Double = 60) throws -> ChildProcess {
        let process = try ChildProcess(
            "/usr/bin/python3", ["-B", "\(self.root)/Tests/IntegrationTests/Peers/\(peer).py"] + arguments,
            in: "/var/tmp")
        let status = process.wait(seconds: seconds)
        #expect(status == 0, "\(process.output)\(process.errors)")
        return process
    }

    private static let function = """
        def handle(event, context):
            return event
        """

    @Test func theSDKReadsBackWhatItWroteInEveryMode() throws {
        if let reason = try Self.missing(["cloudevents==2.2.0"], in: Self.packages, probe: "cloudevents/core") {
            return print("skipped: \(reason)")
        }
        let server = try TestServer()
        try server.start()
        server.deploy(
            try server.write("worker", manifest: Functions.between("in", "out"), files: ["main.py": Self.function]))
        let caller = try Caller(server)
        let peer = try Self.run("cloudevents_peer", [Self.packages, server.url, caller.token])
        #expect(peer.output.contains("all read back"), "\(peer.output)")
        try self.checkAgainstSchema(server.consume("in"), in: server.folder)
    }

    /// What `apus consume` prints are CloudEvents by the schema that their specification publishes.
    private func checkAgainstSchema(_ lines: [String], in folder: String) throws {
        #expect(!lines.isEmpty)
        guard access(Self.schema, R_OK) == 0 else { return print("skipped: no \(Self.schema)") }
        let packages = "\(Self.root)/.build/peers/jsonschema"
        if let reason = try Self.missing(["jsonschema==4.26.0"], in: packages, probe: "jsonschema") {
            return print("skipped: \(reason)")
        }
        try writeFile("\(folder)/events.ndjson", lines.joined(separator: "\n"))
        let peer = try Self.run("schema_peer", [packages, Self.schema, "\(folder)/events.ndjson"])
        #expect(peer.output.contains("\(lines.count) events fit the schema"), "\(peer.output)")
    }

    /// Behaviour 40, and both modes on Kafka.
    @Test(.enabled(if: KafkaBroker.isThere, Comment(rawValue: KafkaBroker.skipReason)))
    func theSDKReadsBackWhatItWroteOverKafkaAndHTTP() throws {
        let packages = "\(Self.root)/.build/peers/cloudevents-kafka"
        if let reason = try Self.missing(
            ["cloudevents==2.2.0", "confluent-kafka==2.16.1", "jsonschema==4.26.0"], in: packages,
            probe: "confluent_kafka")
        {
            return print("skipped: \(reason)")
        }
        let name = "it\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        let brokers = try KafkaBroker.bootstrap()
        let server = try TestServer(
            arguments: ["--kafka", brokers],
            variables: ["APUS_LOG_KAFKA_CLUSTER": name, "APUS_LOG_KAFKA_TOPIC_PREFIX": "\(name)."])
        try server.start()
        server.deploy(
            try server.write("worker", manifest: Functions.between("in", "out"), files: ["main.py": Self.function]))
        let caller = try Caller(server)
        let schema = access(Self.schema, R_OK) == 0 ? Self.schema : "-"
        if schema == "-" { print("skipped: no \(Self.schema)") }
        let peer = try Self.run(
            "kafka_cloudevents_peer", [packages, server.url, caller.token, brokers, "\(name).", schema], seconds: 200)
        #expect(peer.output.contains("all read back"), "\(peer.output)\(server.log)")
    }
}
