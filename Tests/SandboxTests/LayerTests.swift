import ApusCore
import ApusSandbox
import Glibc
import Testing

extension SandboxTests {
    @Suite("Dependency layers")
    struct LayerTests {
        private static let layers = "\(Laboratory.dataDirectory)/layers"

        /// A name of a layer that no other test uses.
        private func layer(_ digit: Character) -> String { String(repeating: digit, count: 64) }

        private func prepare(_ laboratory: Laboratory, _ layer: String) async throws {
            let result: Result<Void, ApusError> = await laboratory.withClient { client, done in
                client.prepareLayer(layer) { done($0) }
            }
            try result.get()
        }

        private func seal(
            _ laboratory: Laboratory, _ layer: String, bytes: UInt64 = 1 << 20, entries: UInt64 = 100
        ) async -> Result<Void, ApusError> {
            await laboratory.withClient { client, done in
                client.sealLayer(layer, bytes: bytes, entries: entries) { done($0) }
            }
        }

        /// Fills the partial layer as a build does: files of a slot's uid.
        private func fill(_ laboratory: Laboratory, _ layer: String) -> String {
            let owner = laboratory.nursery.report.uidBase + 5
            let site = "\(Self.layers)/\(layer).partial/site"
            TestFiles.makeFolder(site)
            TestFiles.makeFolder("\(site)/package", mode: 0o777)
            TestFiles.write("x = 1\n", to: "\(site)/package/module.py", mode: 0o666)
            TestFiles.write("#!/bin/sh\n", to: "\(site)/package/tool", mode: 0o4777)
            symlink("module.py", "\(site)/package/link.py")
            for path in ["", "/package", "/package/module.py", "/package/link.py"] {
                lchown("\(site)\(path)", owner, owner)
            }
            lchown("\(site)/package/tool", owner, owner)
            chmod("\(site)/package/tool", 0o4777)
            return site
        }

        private func status(_ path: String) -> stat? {
            var status = stat()
            return lstat(path, &status) == 0 ? status : nil
        }

        @Test("Sealing gives everything to the server, read-only, without setuid, and removes what was partial")
        func seals() async throws {
            try await withLaboratory { laboratory in
                let layer = self.layer("1")
                try await self.prepare(laboratory, layer)
                _ = self.fill(laboratory, layer)
                try await self.seal(laboratory, layer).get()
                let server = laboratory.nursery.report.serverUser
                let expected: [(String, mode_t)] = [
                    ("", 0o555), ("/package", 0o555), ("/package/module.py", 0o444), ("/package/tool", 0o555),
                ]
                for (path, mode) in expected {
                    let status = self.status("\(Self.layers)/\(layer)\(path)")
                    #expect(status?.st_uid == server && status.map { $0.st_mode & 0o7777 } == mode, "\(path)")
                }
                #expect(self.status("\(Self.layers)/\(layer)/package/link.py")?.st_uid == server)
                #expect(!TestFiles.exists("\(Self.layers)/\(layer).partial"))
                let ending = try await laboratory.run(
                    LaunchOrder(
                        runtime: .native, bundle: Laboratory.bundle, layer: layer,
                        arguments: ["probe", "read", "/layer/package/module.py"]))
                #expect(ending.firstLine == "ok")
            }
        }

        @Test("A layer at its bounds is sealed, one over them is refused", arguments: [(4, true), (3, false)])
        func entriesAreBounded(_ entries: Int, _ isSealed: Bool) async throws {
            try await withLaboratory { laboratory in
                let layer = self.layer(isSealed ? "2" : "3")
                try await self.prepare(laboratory, layer)
                let site = self.fill(laboratory, layer)
                unlink("\(site)/package/tool")
                // The site itself, a folder, a file and a link.
                let result = await self.seal(laboratory, layer, entries: UInt64(entries))
                switch result {
                case .success: #expect(isSealed)
                case .failure(let error):
                    #expect(!isSealed && error.code == .buildFailed && error.message.contains("too many files"))
                }
                #expect(TestFiles.exists("\(Self.layers)/\(layer)") == isSealed)
            }
        }

        @Test("Bytes are bounded", arguments: [(16, true), (15, false)])
        func bytesAreBounded(_ bytes: Int, _ isSealed: Bool) async throws {
            try await withLaboratory { laboratory in
                let layer = self.layer(isSealed ? "4" : "5")
                try await self.prepare(laboratory, layer)
                _ = self.fill(laboratory, layer)
                // Six bytes of module and ten of tool.
                let result = await self.seal(laboratory, layer, bytes: UInt64(bytes))
                switch result {
                case .success: #expect(isSealed)
                case .failure(let error): #expect(!isSealed && error.message.contains("too large"))
                }
            }
        }

        @Test("What belongs to somebody else, and what is no file, is never sealed")
        func refusesForeignFiles() async throws {
            try await withLaboratory { laboratory in
                let foreign: [(Character, String, (String) -> Void)] = [
                    (
                        "6", "belongs to another user",
                        { TestFiles.write("root's", to: "\($0)/package/secret", mode: 0o600) }
                    ),
                    (
                        "7", "is neither",
                        {
                            mkfifo("\($0)/package/fifo", 0o600)
                            chown(
                                "\($0)/package/fifo", laboratory.nursery.report.uidBase + 5,
                                laboratory.nursery.report.uidBase + 5)
                        }
                    ),
                ]
                for (digit, words, add) in foreign {
                    let layer = self.layer(digit)
                    try await self.prepare(laboratory, layer)
                    add(self.fill(laboratory, layer))
                    let result = await self.seal(laboratory, layer)
                    guard case .failure(let error) = result else {
                        Issue.record("\(words): it was sealed")
                        continue
                    }
                    #expect(error.code == .buildFailed && error.message.contains(words), "\(error)")
                    #expect(!TestFiles.exists("\(Self.layers)/\(layer)"))
                }
                #expect(
                    self.status("\(Self.layers)/\(self.layer("6")).partial/site/package/secret")?.st_uid == 0,
                    "it is still root's")
            }
        }

        @Test("Discarding removes everything, also what is not there")
        func discards() async throws {
            try await withLaboratory { laboratory in
                let layer = self.layer("8")
                try await self.prepare(laboratory, layer)
                _ = self.fill(laboratory, layer)
                for _ in 0..<2 {
                    let result: Result<Void, ApusError> = await laboratory.withClient { client, done in
                        client.discardLayer(layer) { done($0) }
                    }
                    try result.get()
                    #expect(!TestFiles.exists("\(Self.layers)/\(layer).partial"))
                }
            }
        }

        private func discard(_ laboratory: Laboratory, _ layer: String) async -> Result<Void, ApusError> {
            await laboratory.withClient { client, done in client.discardLayer(layer) { done($0) } }
        }

        @Test("Folders nested far deeper than any walk goes are removed all the same")
        func discardsDeepFolders() async throws {
            try await withLaboratory { laboratory in
                let layer = String(repeating: "1a", count: 32)
                try await self.prepare(laboratory, layer)
                let owner = laboratory.nursery.report.uidBase + 5
                var folder = open("\(Self.layers)/\(layer).partial", O_RDONLY | O_DIRECTORY)
                for _ in 0..<1_000 {
                    #expect(mkdirat(folder, "d", 0o755) == 0 && fchownat(folder, "d", owner, owner, 0) == 0)
                    let next = openat(folder, "d", O_RDONLY | O_DIRECTORY)
                    close(folder)
                    folder = next
                }
                close(folder)
                try await self.discard(laboratory, layer).get()
                #expect(!TestFiles.exists("\(Self.layers)/\(layer).partial"))
            }
        }

        @Test("A folder of somebody else that was moved into a partial layer is not emptied")
        func keepsForeignFolders() async throws {
            try await withLaboratory { laboratory in
                let layer = String(repeating: "1b", count: 32)
                try await self.prepare(laboratory, layer)
                let foreign = "\(Self.layers)/\(layer).partial/foreign"
                TestFiles.makeFolder(foreign)
                TestFiles.write("root's", to: "\(foreign)/file", mode: 0o600)
                guard case .failure(let error) = await self.discard(laboratory, layer) else {
                    Issue.record("it was discarded")
                    return
                }
                #expect(error.message.contains("belongs to another user"), "\(error)")
                #expect(TestFiles.exists("\(foreign)/file"))
            }
        }

        @Test("A layer whose sealing was cut off can be prepared again")
        func preparesAfterAnInterruptedSeal() async throws {
            try await withLaboratory { laboratory in
                let layer = String(repeating: "1c", count: 32)
                try await self.prepare(laboratory, layer)
                // As a seal leaves it while it works: the keeper's, closed to everybody else.
                let keeper = laboratory.nursery.report.uidBase + 2_047
                _ = self.fill(laboratory, layer)
                chown("\(Self.layers)/\(layer).partial", keeper, keeper)
                chmod("\(Self.layers)/\(layer).partial", 0o700)
                try await self.prepare(laboratory, layer)
                #expect(!TestFiles.exists("\(Self.layers)/\(layer).partial/site"))
            }
        }

        @Test("Several layers asked for at once are worked on one after the other")
        func queues() async throws {
            try await withLaboratory { laboratory in
                let layers = "9bcdef".map { self.layer($0) }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for layer in layers { group.addTask { try await self.prepare(laboratory, layer) } }
                    try await group.waitForAll()
                }
                for layer in layers { #expect(TestFiles.exists("\(Self.layers)/\(layer).partial")) }
            }
        }

        @Test("A package is fetched, installed without a network, sealed, and imported by Python")
        func buildsWithPip() async throws {
            try await withLaboratory { laboratory in
                let layer = self.layer("0")
                try await self.prepare(laboratory, layer)
                // A wheel in the bundle stands for the index.
                let bundle = "\(Laboratory.dataDirectory)/bundles/\(Laboratory.bundle)"
                let wheel = try await laboratory.run(laboratory.order(python: Self.wheelMaker))
                #expect(wheel.exit.code == 0, "\(wheel.errors)")
                let bytes = wheel.output.split(separator: " ").compactMap { UInt8($0) }
                TestFiles.write(bytes, to: "\(bundle)/tiny-1.0-py3-none-any.whl")
                TestFiles.write("tiny==1.0\n", to: "\(bundle)/requirements.txt")
                let bounds = SandboxBounds(memoryBytes: 1 << 30, processes: 64, scratchBytes: 256 << 20)
                let steps: [(LaunchOrder.Runtime, [String])] = [
                    (
                        .fetch,
                        [
                            "download", "--no-input", "--disable-pip-version-check", "--no-cache-dir", "--no-index",
                            "--find-links", "/function",
                            "--only-binary=:all:", "--dest", "/out/wheels", "-r", "/function/requirements.txt",
                        ]
                    ),
                    (
                        .build,
                        [
                            "install", "--no-input", "--disable-pip-version-check", "--no-cache-dir", "--no-index",
                            "--find-links", "/out/wheels",
                            "--target", "/out/site", "-r", "/function/requirements.txt",
                        ]
                    ),
                ]
                for (runtime, arguments) in steps {
                    let ending = try await laboratory.run(
                        LaunchOrder(
                            runtime: runtime, bundle: Laboratory.bundle, layer: layer, arguments: arguments,
                            bounds: bounds))
                    #expect(
                        ending.exit.isOrderly, "\(runtime): \(ending.output) \(ending.errors)"
                    )
                }
                try await self.seal(laboratory, layer, bytes: 1 << 20, entries: 100).get()
                var order = laboratory.order(
                    python: "import sys; sys.path.insert(0, '/layer'); import tiny; print(tiny.answer)")
                order.layer = layer
                #expect(try await laboratory.run(order).output == "42\n")
            }
        }

        private static let wheelMaker = """
            import io, zipfile
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w") as wheel:
                wheel.writestr("tiny.py", "answer = 42\\n")
                wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n")
                wheel.writestr("tiny-1.0.dist-info/WHEEL", "\\n".join([
                    "Wheel-Version: 1.0", "Generator: test", "Root-Is-Purelib: true", "Tag: py3-none-any", ""]))
                wheel.writestr("tiny-1.0.dist-info/RECORD", "".join(name + ",,\\n" for name in wheel.namelist()))
            print(*buffer.getvalue(), end="")
            """
    }
}
