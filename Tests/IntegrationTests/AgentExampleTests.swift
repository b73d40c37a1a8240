import Testing

/// `examples/agent` as its page tells its readers to run it, with the official SDK for Python.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct AgentExampleTests {
    @Test func theAgentDoesWhatItsPageSays() throws {
        if let reason = try MCPPeer.missing() { return print("skipped: \(reason)") }
        try DocumentReader(folders: ["examples/agent", "functions/run-code"], variables: ["PYTHONPATH": MCPPeer.packages])
            .read("examples/agent/README.md")
    }
}
