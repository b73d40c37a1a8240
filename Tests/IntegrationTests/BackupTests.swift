import ApusCore
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct BackupTests {
    private static let manifest =
        Functions.between("in", "out") + """

            ---
            apiVersion: apus.dev/v1
            kind: Topic
            metadata: {name: state}
            spec: {compact: true}
            ---
            apiVersion: apus.dev/v1
            kind: Topic
            metadata: {name: bad}
            ---
            apiVersion: apus.dev/v1
            kind: Function
            metadata: {name: broken}
            spec:
              runtime: python3
              handler: main:refuse
              source: .
              resources: {memory: 128Mi}
              triggers:
                - {topic: bad, onExhausted: deadLetter, retry: {attempts: 1}}
            """
    private static let code =
        Functions.echo + """


            import apus
            def refuse(event, context):
                raise apus.Reject("never")
            """

    /// Publishes without end, an event at a time to `in` and the same keys over and over to the compacted topic, and writes down
    /// what was acknowledged.
    private static func producer(_ server: TestServer) throws -> ChildProcess {
        let script = """
            i=0
            while :; do
              "$1/bin/apus" publish in --data "{\\"text\\": \\"t$i\\"}" --key "k$((i % 7))" >/dev/null || exit 1
              echo "$i" >> "$2/acknowledged"
              "$1/bin/apus" publish state --data "{\\"text\\": \\"$i\\"}" --key "s$((i % 5))" >/dev/null || exit 1
              i=$((i + 1))
            done
            """
        var environment = currentEnvironment()
        environment["APUS_SERVER"] = server.url
        environment["APUS_DATA"] = server.data
        return try ChildProcess(
            "bash", ["-c", script, "bash", server.tree, server.folder], environment: environment, in: server.folder)
    }

    private static func acknowledged(_ server: TestServer) -> Int {
        guard let bytes = try? readFile("\(server.folder)/acknowledged") else { return 0 }
        return bytes.count { $0 == UInt8(ascii: "\n") }
    }

    /// The text of each event of a topic.
    private static func texts(_ server: TestServer, _ topic: String) throws -> [String] {
        try server.consume(topic).map { try JSONValue.parse(Array($0.utf8))["data"]?["text"]?.string ?? "" }
    }

    private static func deadLetters(_ server: TestServer) throws -> [String] {
        let answer = server.apus("dead", "list", "--state", "all", "--output", "json")
        let json = try JSONValue.parse(Array(answer.output.utf8))
        return (json["items"]?.array ?? json.array ?? []).map {
            "\($0["id"]?.string ?? "") \($0["state"]?.string ?? "")"
        }.sorted()
    }

    @Test func whatWasAcknowledgedBeforeABackupUnderLoadIsThereOnceAfterARestore() throws {
        let server = try TestServer()
        try server.start()
        server.deploy(try server.write("worker", manifest: Self.manifest, files: ["main.py": Self.code]))
        for index in 0..<3 { #expect(server.apus("publish", "bad", "--data", #"{"n": \#(index)}"#).status == 0) }
        #expect(waitUntil(seconds: 20) { (try? Self.deadLetters(server).count) == 3 })
        let first = try #require(try Self.deadLetters(server).first?.split(separator: " ").first)
        #expect(server.apus("dead", "drop", String(first)).status == 0)
        let dead = try Self.deadLetters(server)

        let producer = try Self.producer(server)
        #expect(waitUntil(seconds: 60) { Self.acknowledged(server) >= 30 || !producer.isRunning })
        try #require(producer.isRunning, "\(producer.errors)\(producer.output)")
        let before = Self.acknowledged(server)
        let file = "\(server.folder)/now.backup"
        let backup = server.apus("backup", file, "--output", "json")
        #expect(backup.status == 0, "\(backup.errors)")
        #expect(waitUntil(seconds: 60) { Self.acknowledged(server) > before + 5 }, "the server goes on meanwhile")
        producer.signal(SIGKILL)
        _ = producer.wait(seconds: 10)
        #expect(server.apus("backup", file).errors.contains("already_exists"))
        server.kill9()

        let target = try TestServer()
        #expect(server.apus("restore", file, "--verify").status == 0)
        let restore = server.apus("restore", file, "--data", target.data)
        #expect(restore.status == 0, "\(restore.errors)")
        #expect(server.apus("restore", file, "--data", target.data).errors.contains("data_directory_invalid"))
        try target.start()
        let texts = try Self.texts(target, "in")
        #expect(Set(texts).count == texts.count, "no event twice")
        #expect(texts.count >= before)
        for index in 0..<before { #expect(texts.contains("t\(index)")) }
        // Positions go on: what was answered is not answered again, what was not is.
        #expect(waitUntil(seconds: 30) { (try? Self.texts(target, "out").count) == texts.count })
        #expect(try Self.texts(target, "out").sorted() == texts.sorted())
        #expect(try Self.texts(target, "state").count == 5)
        #expect(try Self.deadLetters(target) == dead, "dead letters keep their ids and what was decided about them")
        let open = try #require(dead.first { $0.hasSuffix(" open") }?.split(separator: " ").first)
        #expect(target.apus("dead", "show", String(open)).status == 0)
        // It is a server like any other.
        #expect(target.apus("publish", "in", "--data", #"{"text": "after"}"#).status == 0)
        #expect(waitUntil(seconds: 20) { (try? Self.texts(target, "out").contains("after")) ?? false })
        #expect(target.apus("backup", "\(target.folder)/again.backup").status == 0)
        #expect(target.terminate() == 0)
    }

    @Test func aDamagedBackupLeavesItsTargetAsItWas() throws {
        let server = try TestServer()
        try server.start()
        server.deploy(try server.write("worker", manifest: Self.manifest, files: ["main.py": Self.code]))
        for index in 0..<20 { #expect(server.apus("publish", "in", "--data", #"{"text": "\#(index)"}"#).status == 0) }
        let file = "\(server.folder)/whole.backup"
        #expect(server.apus("backup", file).status == 0)
        let whole = try readFile(file)
        let bad = "\(server.folder)/bad.backup"
        let target = "\(server.folder)/target"
        func restore(_ bytes: [UInt8], sourceLocation: SourceLocation = #_sourceLocation) throws {
            try writeFile(bad, bytes)
            let result = server.apus("restore", bad, "--data", target)
            #expect(result.status == 1, sourceLocation: sourceLocation)
            #expect(
                result.errors.contains("backup_invalid") || result.errors.contains("backup_format"), "\(result.errors)",
                sourceLocation: sourceLocation)
            #expect(access(target, F_OK) != 0, "the folder is not made", sourceLocation: sourceLocation)
        }
        for part in 0..<8 { try restore(Array(whole[..<(whole.count * part / 8 + part)])) }
        for part in 0..<8 {
            var changed = whole
            changed[whole.count * part / 8 + 5] ^= 0xFF
            try restore(changed)
        }
        mkdir(target, 0o700)
        try writeFile(bad, Array(whole.dropLast()))
        #expect(server.apus("restore", bad, "--data", target).status == 1)
        #expect(rmdir(target) == 0, "the folder was there, and is empty still")
    }

    @Test func aFullDiskFailsABackupOrARestoreAndNothingElse() throws {
        let server = try TestServer()
        try server.start()
        server.deploy(try server.write("worker", manifest: Self.manifest, files: ["main.py": Self.code]))
        try writeFile("\(server.folder)/large.json", #"{"text": "\#(String(repeating: "x", count: 900_000))"}"#)
        for _ in 0..<4 { #expect(server.apus("publish", "in", "--data", "@\(server.folder)/large.json").status == 0) }
        let small = "\(server.folder)/small"
        mkdir(small, 0o700)
        try #require(mount("tmpfs", small, "tmpfs", 0, "size=1m") == 0, "a small file system could not be mounted")
        defer { umount2(small, CInt(MNT_DETACH)) }
        let backup = server.apus("backup", "\(small)/a.backup")
        #expect(backup.status == 1 && backup.errors.contains("disk_full"), "\(backup.errors)")
        #expect(access("\(small)/a.backup", F_OK) != 0)
        #expect(server.apus("backup", "\(server.folder)/a.backup").status == 0)
        let restore = server.apus("restore", "\(server.folder)/a.backup", "--data", small)
        #expect(restore.status == 1 && restore.errors.contains("disk_full"), "\(restore.errors)")
        umount2(small, 0)
        #expect(server.apus("invoke", "worker", "--data", #"{"text": "alive"}"#).output.contains("alive"))
    }
}
