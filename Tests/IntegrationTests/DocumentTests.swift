import Testing

/// What the documentation tells its readers to type, typed.
@Suite(.enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct DocumentTests {
    @Test(arguments: [
        "README.md", "docs/tutorial.md", "docs/functions/python.md", "docs/functions/node.md",
        "docs/how-to/failures.md",
        "docs/how-to/tables.md", "docs/how-to/secrets.md", "docs/operating/subscriptions.md",
    ])
    func thePageIsTrue(page: String) throws { try DocumentReader().read(page) }

    @Test func whatIsPrintedIsCompared() {
        func isLike(_ lines: [String], _ expected: [String]) -> Bool {
            DocumentScript.matches(lines[...], expected[...])
        }
        #expect(isLike(["a", "b"], ["a", "b"]) && !isLike(["a", "b"], ["a"]) && !isLike(["a"], ["a", "b"]))
        #expect(isLike(["a 1 b 2"], ["a … b …"]) && !isLike(["a 1 c 2"], ["a … b …"]) && !isLike(["ab"], ["ab…b"]))
        #expect(
            isLike(["x", "y", "z"], ["…", "z"]) && isLike(["z"], ["…", "z"]) && !isLike(["z", "y"], ["…", "z"]))
        #expect(isLike([], []) && isLike([], ["…"]) && !isLike(["a"], []))
    }
}
