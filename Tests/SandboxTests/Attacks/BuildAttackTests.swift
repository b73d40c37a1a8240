import ApusCore
import ApusSandbox
import ApusTestSupport
import Glibc
import Testing

extension SandboxTests {
    /// A package of which building is running hostile code, as deploying it would.
    @Suite("Attacks by a package while it is installed")
    struct BuildAttackTests {
        private static let layers = "\(Laboratory.dataDirectory)/layers"
        private static let bounds = SandboxBounds(
            memoryBytes: 512 << 20, processes: 64, scratchBytes: 64 << 20, openFiles: 128)

        private struct Built {
            var exit: WorkerExit
            var errors: String
            var sealed: Result<Void, ApusError>?
        }

        /// As the server does it: prepare, run pip, seal when that worked, discard when anything failed.
        private func build(
            _ laboratory: Laboratory, _ layer: String, _ attack: String, on runtime: LaunchOrder.Runtime = .build,
            bytes: UInt64 = 1 << 20, entries: UInt64 = 100, after: () -> Void = {}
        ) async throws -> Built {
            try await laboratory.prepare(layer)
            let step =
                runtime == .build ? ["install", "--target", "/out/site"] : ["download", "--dest", "/out/wheels"]
            let ending = try await laboratory.run(
                LaunchOrder(
                    runtime: runtime, bundle: Laboratory.bundle, layer: layer,
                    arguments: Laboratory.pipArguments(step) + ["/function/hostile"], environment: ["ATTACK=\(attack)"],
                    bounds: Self.bounds))
            after()
            var built = Built(exit: ending.exit, errors: ending.output + ending.errors)
            if ending.exit.code == 0 { built.sealed = await laboratory.seal(layer, bytes: bytes, entries: entries) }
            if case .success = built.sealed { return built }
            try await laboratory.discard(layer)
            return built
        }

        /// What must be true after a build that failed: its layer is not there, nothing of it is, and no process.
        private func expectNothingLeft(_ laboratory: Laboratory, _ layer: String, _ before: HostState) {
            #expect(
                !TestFiles.exists("\(Self.layers)/\(layer)") && !TestFiles.exists("\(Self.layers)/\(layer).partial"))
            #expect(HostState.now(laboratory.nursery.report) == before)
        }

        @Test("Ordinary code of a package builds")
        func builds() async throws {
            try await withLaboratory { laboratory in
                let layer = String(repeating: "b0", count: 32)
                let built = try await self.build(laboratory, layer, "open('/tmp/x', 'w').write('x')")
                #expect(built.exit.code == 0, "\(built.errors)")
                if case .failure(let error)? = built.sealed { Issue.record(error) }
                #expect(TestFiles.exists("\(Self.layers)/\(layer)/hostile.py"))
            }
        }

        static let thefts: [(String, String)] = [
            (
                "print(open('\(Laboratory.dataDirectory)/layers/\(String(repeating: "b1", count: 32))/secret.py').read())",
                "FileNotFoundError"
            ),
            ("import os; print(os.listdir('\(Laboratory.dataDirectory)'))", "FileNotFoundError"),
            ("import os; os.listdir('/layer')[0]", "IndexError"),
            ("import os; print(os.listdir('/proc/1/root/var/lib/apus'))", "FileNotFoundError"),
            ("import os; fd = os.open('/out', 0); print(os.open('../layers', 0, dir_fd=fd))", "FileNotFoundError"),
            ("open('/etc/shadow').read()", "FileNotFoundError"),
            ("import os; [os.environ[name] for name in ('APUS_TOKEN', 'PIP_INDEX_URL')]", "KeyError"),
        ]

        /// Code that makes each attempt and then fails with the names of the errors that they met.
        private static func all(_ attempts: [(String, String)]) -> String {
            let list = attempts.map { "\"\"\"\($0.0)\"\"\"" }.joined(separator: ", ")
            return """
                met = []
                for attempt in [\(list)]:
                    try:
                        exec(attempt, {})
                        met.append("nothing")
                    except BaseException as error:
                        met.append(type(error).__name__)
                raise SystemExit("met " + " ".join(met))
                """
        }

        private func expectErrors(_ built: Built, _ attempts: [(String, String)]) {
            #expect(built.exit.code == 1, "\(built)")
            let line = built.errors.split(separator: "\n").first { $0.contains("met ") } ?? ""
            let met = line.drop { $0 != "m" }.dropFirst(4).split(separator: " ").map(String.init)
            #expect(met.count == attempts.count, "\(built)")
            for ((attempt, error), name) in zip(attempts, met) {
                #expect(error.split(separator: " ").contains(Substring(name)), "\(attempt) met \(name)")
            }
        }

        @Test("It finds neither other layers nor the data directory nor the server's environment")
        func steals() async throws {
            try await withLaboratory { laboratory in
                setenv("APUS_TOKEN", "of the server", 1)
                let other = String(repeating: "b1", count: 32)
                TestFiles.makeFolder(Self.layers)
                TestFiles.makeFolder("\(Self.layers)/\(other)")
                TestFiles.write("key = 1\n", to: "\(Self.layers)/\(other)/secret.py")
                defer { TestFiles.remove("\(Self.layers)/\(other)") }
                let before = HostState.now(laboratory.nursery.report)
                for runtime in [LaunchOrder.Runtime.build, .fetch] {
                    let layer = String(repeating: "b2", count: 32)
                    let attempts = Self.thefts + (runtime == .fetch ? Self.fetchEscapes : [])
                    let built = try await self.build(laboratory, layer, Self.all(attempts), on: runtime)
                    self.expectErrors(built, attempts)
                    self.expectNothingLeft(laboratory, layer, before)
                }
                #expect(TestFiles.read("\(Self.layers)/\(other)/secret.py") == "key = 1\n")
            }
        }

        static let escapes: [(String, String)] = [
            ("import socket; socket.create_connection(('127.0.0.1', 1))", "OSError"),
            ("import socket; socket.socket(socket.AF_UNIX)", "OSError"),
            ("import socket; socket.getaddrinfo('example.com', 80)", "gaierror"),
            ("import subprocess; subprocess.run(['/usr/bin/unshare', '-n', 'true'], check=True)", "CalledProcessError"),
            (
                "import subprocess; subprocess.run(['/usr/bin/mount', '-t', 'tmpfs', 'x', '/tmp'], check=True)",
                "CalledProcessError"
            ),
            ("import os; os.mkfifo('/usr/apus-attack')", "OSError PermissionError"),
            ("import os; os.mkfifo('/out/pipe')", "PermissionError"),
            ("import os; os.setuid(0)", "PermissionError"),
            ("import os; os.chown('/out', 0, 0)", "PermissionError"),
            ("import os; os.link('/usr/bin/env', '/out/env')", "OSError PermissionError"),
            ("import os; os.symlink('/out', '/function/out')", "OSError PermissionError"),
        ]

        /// Fetching has the network, and nothing else of the host.
        static let fetchEscapes: [(String, String)] = [
            ("import socket; socket.socket(socket.AF_UNIX)", "OSError"),
            ("import socket; s = socket.socket(); s.listen()", "PermissionError"),
            ("import os; os.setuid(0)", "PermissionError"),
        ]

        @Test("It reaches no network and leaves its sandbox by no program of the host")
        func refusesEscapes() async throws {
            try await withLaboratory { laboratory in
                let before = HostState.now(laboratory.nursery.report)
                let layer = String(repeating: "b3", count: 32)
                let built = try await self.build(laboratory, layer, Self.all(Self.escapes))
                self.expectErrors(built, Self.escapes)
                self.expectNothingLeft(laboratory, layer, before)
            }
        }

        static let floods: [(String, String)] = [
            ("open('/out/site/big', 'wb').write(bytes(2 << 20))", "too large"),
            ("[open(f'/out/site/{n}', 'w') for n in range(110)]", "too many files"),
            ("for n in range(70): os.mkdir('d'); os.chdir('d')", "too deep"),
        ]

        @Test("What fills or floods its layer is refused, and removed whole", arguments: floods)
        func refusesFloods(_ attack: String, _ words: String) async throws {
            try await withLaboratory { laboratory in
                let before = HostState.now(laboratory.nursery.report)
                let layer = String(repeating: "b4", count: 32)
                // pip moves what it installs into the target, which it leaves as it is otherwise.
                let built = try await self.build(
                    laboratory, layer,
                    "import os; os.makedirs('/out/site', exist_ok=True); os.chdir('/out/site')\n" + attack)
                guard case .failure(let error)? = built.sealed else {
                    Issue.record("it was sealed: \(built)")
                    return
                }
                #expect(error.code == .buildFailed && error.message.contains(words), "\(error)")
                self.expectNothingLeft(laboratory, layer, before)
            }
        }

        @Test("One file larger than any layer, and more memory than it has, end it")
        func takesTooMuch() async throws {
            try await withLaboratory { laboratory in
                let layer = String(repeating: "b5", count: 32)
                let before = HostState.now(laboratory.nursery.report)
                let sparse = try await self.build(
                    laboratory, layer,
                    "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); open('/out/x', 'wb').truncate(5 << 30)"
                )
                #expect(sparse.exit.code == 1 && sparse.errors.contains("File too large"), "\(sparse)")
                self.expectNothingLeft(laboratory, layer, before)
                let memory = try await self.build(laboratory, layer, "x = bytearray(1 << 30)")
                #expect(memory.exit.code != 0 && memory.exit.isOutOfMemory, "\(memory)")
                self.expectNothingLeft(laboratory, layer, before)
            }
        }

        @Test("Setuid bits, links out and a site that is a link are worth nothing")
        func leavesTraps() async throws {
            try await withLaboratory { laboratory in
                let layer = String(repeating: "b6", count: 32)
                let traps = """
                    import os; os.makedirs('/out/site'); os.chdir('/out/site')
                    open('tool', 'w').write('x'); os.chmod('tool', 0o6777)
                    os.symlink('/etc/shadow', 'shadow'); os.symlink('../../..', 'up')
                    """
                let built = try await self.build(laboratory, layer, traps)
                #expect(built.exit.code == 0, "\(built)")
                var status = stat()
                #expect(lstat("\(Self.layers)/\(layer)/tool", &status) == 0 && status.st_mode & 0o7777 == 0o555)
                #expect(status.st_uid == laboratory.nursery.report.serverUser)
                // The links are there, and lead nowhere but inside the sandbox that has the layer.
                for path in ["/layer/shadow", "/layer/up/etc/shadow"] {
                    let ending = try await laboratory.run(
                        LaunchOrder(
                            runtime: .native, bundle: Laboratory.bundle, layer: layer,
                            arguments: ["probe", "read", path]))
                    #expect(ending.firstLine.hasSuffix("ENOENT"), "\(path): \(ending)")
                }
                let other = String(repeating: "b7", count: 32)
                let before = HostState.now(laboratory.nursery.report)
                let linked = try await self.build(
                    laboratory, other,
                    "import os; os.rmdir('/out/site') if os.path.exists('/out/site') else None; os.symlink('/tmp', '/out/site')"
                )
                if case .success? = linked.sealed { Issue.record("a link was sealed as a layer") }
                self.expectNothingLeft(laboratory, other, before)
            }
        }

        @Test("A layer that another namespace uses cannot be changed through the one that is built")
        func poisons() async throws {
            try await withLaboratory { laboratory in
                let victim = String(repeating: "b8", count: 32)
                _ = try await self.build(laboratory, victim, "pass")
                let path = "\(Self.layers)/\(victim)/hostile.py"
                let before = TestFiles.read(path)
                let names = Folder.names("\(Self.layers)/\(victim)")
                #expect(before == "" && names.count >= 2)
                for attack in [
                    "open('/out/../layers/\(victim)/hostile.py', 'w')", "open('/layer/hostile.py', 'w')",
                    "import os; os.symlink('\(Self.layers)/\(victim)', '/out/site')",
                    "import os; os.symlink('../\(victim)', '/out/site')",
                ] {
                    let layer = String(repeating: "b9", count: 32)
                    let built = try await self.build(laboratory, layer, attack)
                    if case .success? = built.sealed { Issue.record("it was sealed: \(attack)") }
                    #expect(TestFiles.read(path) == before && Folder.names("\(Self.layers)/\(victim)") == names)
                }
                // A worker that has the layer cannot either.
                let ending = try await laboratory.run(
                    LaunchOrder(
                        runtime: .native, bundle: Laboratory.bundle, layer: victim,
                        arguments: ["probe", "overwrite", "/layer/hostile.py"]))
                #expect(ending.firstLine.hasSuffix("EROFS") || ending.firstLine.hasSuffix("EACCES"), "\(ending)")
            }
        }

        @Test("What it leaves running ends with its sandbox")
        func leavesDaemons() async throws {
            try await withLaboratory { laboratory in
                let layer = String(repeating: "ba", count: 32)
                let before = HostState.now(laboratory.nursery.report)
                let built = try await self.build(
                    laboratory, layer,
                    "import subprocess; subprocess.Popen(['/function/probe', 'daemon'], start_new_session=True).wait(); 1 / 0"
                )
                #expect(built.exit.code == 1 && built.errors.contains("ZeroDivisionError"), "\(built)")
                self.expectNothingLeft(laboratory, layer, before)
            }
        }
    }
}
