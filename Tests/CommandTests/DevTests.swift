import ApusCore
import ApusTestSupport
import Glibc
import Testing

@testable import apus

/// Watching folders, and deploying what changed.
final class DevTests {
    let folder = "/tmp/apus-dev-\(getpid())-\(UInt32.random(in: 0 ..< .max))"

    init() throws {
        mkdir(self.folder, 0o755)
        mkdir("\(self.folder)/lib", 0o755)
        try writeFile("\(self.folder)/function.yaml", Self.manifest)
        try writeFile("\(self.folder)/main.py", "def f(event, context): return 1\n")
    }

    deinit { _ = try? ChildProcess("/bin/rm", ["-rf", self.folder], in: "/tmp").wait(seconds: 10) }

    private static let manifest = """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: f}
        spec: {runtime: python3, handler: "main:f"}
        """

    private func changes(_ watch: FolderWatch) throws -> Set<String> {
        var all: Set<String> = []
        var pollable = pollfd(fd: watch.signal, events: Int16(POLLIN), revents: 0)
        while poll(&pollable, 1, 100) > 0 { all.formUnion(try watch.changes()) }
        return all
    }

    @Test func whatABundleHoldsIsWatched() throws {
        let watch = try FolderWatch(self.folder)
        #expect(watch.count == 2)
        #expect(try self.changes(watch).isEmpty)
        try writeFile("\(self.folder)/main.py", "x")
        try writeFile("\(self.folder)/lib/a.py", "x")
        #expect(try self.changes(watch) == ["main.py", "lib/a.py"])
        rename("\(self.folder)/lib/a.py", "\(self.folder)/b.py")
        #expect(try self.changes(watch) == ["lib/a.py", "b.py"])
        unlink("\(self.folder)/b.py")
        #expect(try self.changes(watch) == ["b.py"])
    }

    @Test func foldersThatAppearAreWatchedAndIgnoredOnesAreNot() throws {
        try writeFile("\(self.folder)/.apusignore", "out/\n*.tmp\n")
        let watch = try FolderWatch(self.folder)
        for name in ["new", "out", "__pycache__"] { mkdir("\(self.folder)/\(name)", 0o755) }
        #expect(try self.changes(watch) == ["new"])
        for name in ["new/a.py", "out/a.py", "__pycache__/a.pyc", "a.tmp"] {
            try writeFile("\(self.folder)/\(name)", "x")
        }
        #expect(try self.changes(watch) == ["new/a.py"])
        #expect(watch.count == 3)
    }

    @Test func noMoreFoldersThanTheBoundAreWatched() throws {
        // The root and lib: one more folder is one too many, at the start and later.
        #expect(try FolderWatch(self.folder, folderMost: 2).count == 2)
        let watch = try FolderWatch(self.folder, folderMost: 2)
        mkdir("\(self.folder)/more", 0o755)
        let late = #expect(throws: ApusError.self) { _ = try self.changes(watch) }
        #expect(late?.code == .limitReached)
        let error = #expect(throws: ApusError.self) { try FolderWatch(self.folder, folderMost: 2) }
        #expect(error?.code == .limitReached && error?.message.contains("more than 2 folders") == true)
        #expect(error?.message.contains(".apusignore") == true)
    }

    @Test func sourcesThatAreBuiltAreWatchedThoughNoBundleHoldsThem() throws {
        try writeFile("\(self.folder)/.apusignore", "*\n")
        try writeFile("\(self.folder)/.gitignore", "out/\n")
        for name in ["out", ".build"] { mkdir("\(self.folder)/\(name)", 0o755) }
        let watch = try FolderWatch(self.folder, isBuilt: true)
        #expect(watch.count == 2)
        for name in ["lib/main.swift", "out/program", ".build/program"] { try writeFile("\(self.folder)/\(name)", "x") }
        #expect(try self.changes(watch) == ["lib/main.swift"])
    }

    @Test func aFolderThatIsNotThereIsAnErrorThatSaysSo() {
        #expect(throws: ApusError.self) { try FolderWatch("\(self.folder)/nowhere") }
    }

    @Test func changesAreGatheredUntilTheyRest() {
        var gatherer = ChangeGatherer()
        let start = Timestamp(microseconds: 1_000_000)
        #expect(gatherer.due == nil)
        gatherer.add(["a"], now: start)
        #expect(gatherer.take(now: start + .milliseconds(24)).isEmpty)
        gatherer.add(["b"], now: start + .milliseconds(20))
        #expect(gatherer.take(now: start + .milliseconds(44)).isEmpty)
        #expect(gatherer.take(now: start + .milliseconds(45)) == ["a", "b"])
        #expect(gatherer.due == nil)
        // Changes that never end are not waited for for ever.
        for step in 0...60 { gatherer.add(["c"], now: start + .milliseconds(Int64(step * 10))) }
        #expect(gatherer.due == start + .milliseconds(500))
    }

    @Test func eachChangeIsDeployedAndRefusalsAreShown() throws {
        let terminal = FakeTerminal()
        let server = FakeServer()
        var deployments = 0
        let folder = self.folder
        server.answer = { request throws(ApusError) in
            if request.path == "/v1/bundles" { return FakeServer.json("{}", status: 201) }
            guard request.path == "/v1/deployments" else { return FakeServer.json(#"{"n":1}"#) }
            deployments += 1
            // The next change comes while the session is at work.
            do { try writeFile("\(folder)/main.py", "def f(event, context): return \(deployments + 1)\n") } catch {}
            if deployments == 2 {
                return FakeServer.json(#"{"error":{"code":"start_failed","message":"no such handler"}}"#)
            }
            return FakeServer.json(
                #"{"result":[{"kind":"function","name":"f","action":"updated","generation":1,"revision":"0123456789abcdef"}]}"#
            )
        }
        let tool = CommandLineTool(
            commands: CommandTable.all, notYetAvailable: [], environment: ["APUS_DATA": "/nonexistent"],
            terminal: terminal,
            connect: { _ throws(ApusError) in server })
        let code = tool.run(["dev", self.folder, "--quiet", "--deployments", "3", "--data", "{}"])
        #expect(code == 0, "\(terminal.errors)")
        #expect(deployments == 3)
        #expect(terminal.text.contains("✔ updated f, revision 0123456789ab ("))
        #expect(terminal.text.contains("✘ apus: no such handler [start_failed]"))
        #expect(terminal.text.contains("· main.py changed"))
        #expect(terminal.text.contains("= f answered in"))
    }
}
