import ApusTestSupport
import Glibc
import Testing

/// The Python SDK of CloudEvents as a peer: it writes requests in every mode, and reads back what Apus made of them.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct CloudEventPeerTests {
    private static let root = InstalledTree.packageRoot
    private static let packages = "\(root)/.build/peers/cloudevents"

    /// Installs the SDK once; kept with what was built.
    /// - Returns: why it cannot be had; nil when it is there.
    private static func missing() throws -> String? {
        if access("\(self.packages)/cloudevents/core", R_OK) == 0 { return nil }
        let pip = try ChildProcess(
            "/usr/bin/python3",
            [
                "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", "--target",
                self.packages, "cloudevents==2.2.0",
            ], in: "/var/tmp")
        if pip.wait(seconds: 120) == 0 { return nil }
        return "the package index gave no cloudevents: \(pip.errors.suffix(200))"
    }

    @Test func theSDKReadsBackWhatItWroteInEveryMode() throws {
        if let reason = try Self.missing() { return print("skipped: \(reason)") }
        let server = try TestServer()
        try server.start()
        let function = """
            def handle(event, context):
                return event
            """
        server.deploy(
            try server.write("worker", manifest: Functions.between("in", "out"), files: ["main.py": function]))
        let caller = try Caller(server)
        let peer = try ChildProcess(
            "/usr/bin/python3",
            ["\(Self.root)/Tests/IntegrationTests/Peers/cloudevents_peer.py", Self.packages, server.url, caller.token],
            in: server.folder)
        let status = peer.wait(seconds: 60)
        #expect(status == 0, "\(peer.output)\(peer.errors)")
        #expect(peer.output.contains("all read back"), "\(peer.output)")
    }
}
