import ApusCore
import ApusTestSupport
import Glibc
import Testing

/// Does what a page says, in a folder of its own, and compares what comes.
///
/// Three things are other than for a reader: nobody needs `sudo`; the tree that `make install` makes is there already, laid out by
/// the same script; and `apus serve` listens where no other test does.
final class DocumentReader {
    private let server: TestServer
    private let folder: String
    private let variables: [String: String]
    private var isServing = false
    private var background: [(line: Int, process: ChildProcess)] = []

    /// - Parameters:
    ///   - folders: of the repository, which the reader has a copy of.
    ///   - variables: of the reader's environment.
    init(folders: [String] = [], variables: [String: String] = [:]) throws {
        self.variables = variables
        self.server = try TestServer()
        self.folder = "\(self.server.folder)/reader"
        mkdir(self.folder, 0o755)
        try writeFile("\(self.server.folder)/directory", Array(self.folder.utf8))
        guard !folders.isEmpty else { return }
        let copy = try ChildProcess(
            "/bin/cp", ["-r", "--parents"] + folders + [self.folder], in: InstalledTree.packageRoot)
        #expect(copy.wait(seconds: 30) == 0, "\(copy.errors)")
    }

    /// Does all of it; whatever is not as the page says becomes an issue.
    func read(_ page: String) throws {
        let script = DocumentScript(
            String(decoding: try readFile("\(InstalledTree.packageRoot)/\(page)"), as: UTF8.self))
        try #require(!script.steps.isEmpty, "\(page) says nothing to do")
        for step in script.steps {
            switch step {
            case .file(let name, let text): try writeFile("\(try self.directory())/\(name)", Array(text.utf8))
            case .command(let line, let text, let expected):
                guard try self.follow(text, expected, line) else {
                    // What comes after it would fail for the same reason.
                    Issue.record("\(page):\(line): what follows was not tried")
                    return
                }
            }
        }
        for (line, process) in self.background {
            #expect(process.wait(seconds: 30) == 0, "\(page):\(line): \(process.output)\(process.errors)")
        }
    }

    private func follow(_ text: String, _ expected: [String], _ line: Int) throws -> Bool {
        if text == "sudo apus serve &" {
            try self.server.start()
            self.isServing = true
            return true
        }
        if text.hasSuffix(" &") { return try self.followInBackground(String(text.dropLast(2)), expected, line) }
        var result = try self.run(text)
        // What only looks may look again: events and log lines take a moment.
        let looks = ["apus get", "apus logs", "apus dead list", "apus invoke", "apus describe", "curl", "apus consume"]
        if looks.contains(where: text.hasPrefix) {
            _ = try waitUntil(seconds: 30) {
                if result.status == 0, Self.isAsExpected(result.lines, expected) { return true }
                result = try self.run(text)
                return false
            }
        }
        let isRight = result.status == 0 && Self.isAsExpected(result.lines, expected)
        #expect(
            isRight,
            """
            line \(line): \(text)
            exit code \(result.status)
            came:     \(result.lines.joined(separator: "\n          "))
            expected: \(expected.joined(separator: "\n          "))
            """)
        return isRight
    }

    private static func isAsExpected(_ lines: [String], _ expected: [String]) -> Bool {
        DocumentScript.matches(lines[...], expected[...])
    }

    private func followInBackground(_ text: String, _ expected: [String], _ line: Int) throws -> Bool {
        let process = try ChildProcess(
            "bash", ["-c", "\(self.prologue) \(text) 2>&1"], environment: self.environment, in: self.folder)
        self.background.append((line, process))
        let isThere = waitUntil(seconds: 30) { Self.isAsExpected(Self.lines(process.output), expected + ["…"]) }
        #expect(isThere, "line \(line): \(process.output)")
        return isThere
    }

    /// One command after the other in one shell, as far as the reader can tell: its folder and variables go on.
    private func run(_ text: String) throws -> (status: Int32, lines: [String]) {
        let command = "\(self.prologue) { \(text)\n} 2>&1; code=$?; pwd > \(self.server.folder)/directory; "
        let process = try ChildProcess(
            "bash", ["-c", command + "export -p > \(self.server.folder)/variables; exit $code"],
            environment: self.environment,
            in: self.folder)
        guard let status = process.wait(seconds: 120) else {
            return (-1, Self.lines(process.output) + ["(it did not end)"])
        }
        return (status, Self.lines(process.output))
    }

    private var prologue: String {
        """
        touch \(self.server.folder)/variables; . \(self.server.folder)/variables; cd "$(cat \(self.server.folder)/directory)";
        sudo() { "$@"; }; make() { [ "$*" = install ] && apus version; };
        curl() { command curl "${@/localhost:8787/127.0.0.1:\(self.server.port)}"; };

        """
    }

    private var environment: [String: String] {
        var environment = currentEnvironment()
        environment["PATH"] = "\(self.server.tree)/bin:\(environment["PATH"] ?? "/usr/bin:/bin")"
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        environment.merge(self.variables) { $1 }
        if self.isServing {
            environment["APUS_SERVER"] = self.server.url
            environment["APUS_DATA"] = self.server.data
        }
        return environment
    }

    private func directory() throws -> String {
        String(decoding: try readFile("\(self.server.folder)/directory"), as: UTF8.self).split(separator: "\n").first.map(
            String.init)
            ?? self.folder
    }

    private static func lines(_ text: String) -> [String] {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            // Columns of a table end in spaces that no page shows.
            String(line.reversed().drop { $0 == " " }.reversed())
        }
        if lines.last == "" { lines.removeLast() }
        return lines
    }
}
