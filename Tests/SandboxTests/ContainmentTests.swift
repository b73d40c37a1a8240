import ApusCore
import ApusSandbox
import ApusTestSupport
import CShims
import Glibc
import Testing

extension SandboxTests {
    @Suite("What a sandbox holds in")
    struct ContainmentTests {
        // MARK: reaching out

        @Test("Nobody is reached by TCP, by either version of IP, or by an abstract socket of the host")
        func reachesNobody() async throws {
            try await withLaboratory { laboratory in
                let four = Listener(family: AF_INET)
                let six = Listener(family: AF_INET6)
                let name = "apus-test-\(getpid())"
                let abstract = Listener(abstract: name)
                let attempts = [["inet", "\(four.port)"], ["inet6", "\(six.port)"], ["abstract", name]]
                for attempt in attempts {
                    let ending = try await laboratory.run(laboratory.order(attempt))
                    #expect(ending.firstLine.hasSuffix("EAFNOSUPPORT"), "\(attempt): \(ending)")
                    #expect(Laboratory.control(attempt).output == "ok", "\(attempt) must work without a sandbox")
                }
                _ = abstract.descriptor
            }
        }

        @Test("No special family of sockets can be made", arguments: [CInt(16), 17, 38, 40, 44])
        func makesNoSpecialSocket(_ family: CInt) async throws {
            try await withLaboratory { laboratory in
                // Netlink, packet, alg, vsock, xdp. Which of them the host has differs; netlink it always has.
                let attempt = ["socket", "\(family)", family == 16 || family == 17 ? "3" : "1"]
                let ending = try await laboratory.run(laboratory.order(attempt))
                #expect(ending.firstLine.hasSuffix("EAFNOSUPPORT"), "\(ending)")
                if family == 16 { #expect(Laboratory.control(attempt).output == "ok") }
            }
        }

        // MARK: other processes

        @Test("A process of the host cannot be traced, written, signalled or even opened")
        func leavesOthersAlone() async throws {
            try await withLaboratory { laboratory in
                let victim = try await laboratory.launch(laboratory.order(["echo"]))
                defer { Laboratory.close(victim) }
                // This test process is an ancestor of the nursery, which is the parent of every worker.
                let parent = "\(laboratory.nursery.process)"
                var byte: UInt8 = 0
                let address = withUnsafePointer(to: &byte) { "\(UInt(bitPattern: $0))" }
                let attempts: [(inside: [String], control: [String], error: String)] = [
                    (["trace", parent], ["trace", "\(getpid())"], "EPERM"),
                    (["write-memory", parent, address], ["write-memory", "\(getpid())", address], "EPERM"),
                    (["write-memory-file", parent, address], ["write-memory-file", "\(getpid())", address], "ENOENT"),
                    (["signal", parent], ["signal", parent], "ESRCH"),
                    (["open-process", parent], ["open-process", parent], "EINVAL ESRCH"),
                ]
                for attempt in attempts {
                    let ending = try await laboratory.run(laboratory.order(attempt.inside))
                    let error = ending.firstLine.split(separator: " ").last.map(String.init) ?? ""
                    #expect(
                        ending.firstLine.hasPrefix("errno ") && attempt.error.contains(error),
                        "\(attempt.inside): \(ending)")
                    #expect(
                        Laboratory.control(attempt.control).output == "ok",
                        "\(attempt.control) must work without a sandbox")
                }
                #expect(byte == 1, "only the control runs wrote here")
                await laboratory.kill(victim)
                _ = await laboratory.exit(of: victim)
            }
        }

        // MARK: what is inherited

        @Test("A crash starts no handler of the host, and standard input is the sandbox's own read-only one")
        func dumpsAndStandardInput() async throws {
            try await withLaboratory { laboratory in
                // 1 is the only limit at which a handler behind a pipe is not started.
                let limit = try await laboratory.run(laboratory.order(["core-limit"]))
                #expect(limit.firstLine == "1")
                let touched = try await laboratory.run(laboratory.order(["touch-input"]))
                #expect(touched.firstLine.hasSuffix("EROFS"))
            }
        }

        @Test("A sandbox starts with a bound of descriptors far below what the nursery has open")
        func fewDescriptors() async throws {
            try await withLaboratory { laboratory in
                let ending = try await laboratory.run(
                    laboratory.order(["core-limit"], bounds: SandboxBounds(openFiles: 16)))
                #expect(ending.exit.code == 0 && ending.exit.failedStage == nil, "\(ending.exit)")
            }
        }

        @Test("Nothing is inherited but descriptors 0 to 5")
        func inheritsSixDescriptors() async throws {
            try await withLaboratory { laboratory in
                let extra = open("/etc/shadow", O_RDONLY)
                defer { close(extra) }
                let ending = try await laboratory.run(laboratory.order(["descriptors"]))
                #expect(ending.firstLine == "0 1 2 3 4 5 ")
                #expect(
                    Laboratory.control(["descriptors"]).output.contains(" \(extra) "),
                    "the control run inherits what is not close-on-exec")
            }
        }

        @Test("Secrets are sealed memory on descriptor 6, which nobody can change, and nothing in the environment")
        func inheritsSealedSecrets() async throws {
            try await withLaboratory { laboratory in
                func memory() -> CInt { apus_channel_sealed_memory("{}", 2) }
                var order = laboratory.order(["descriptors"])
                order.secrets = memory()
                let given = try await laboratory.run(order)
                #expect(given.firstLine == "0 1 2 3 4 5 6 ")
                order = laboratory.order(["environment"])
                order.secrets = memory()
                let told = try await laboratory.run(order)
                #expect(told.output.contains("APUS_SECRETS_FD=6\n"))
                let without = try await laboratory.run(laboratory.order(["environment"]))
                #expect(!without.output.contains("APUS_SECRETS_FD"))
                let attempts = """
                    import os, mmap
                    done = [os.pread(6, 99, 0).decode()]
                    for attempt in (lambda: os.pwrite(6, b"x", 0), lambda: os.ftruncate(6, 0), lambda: os.ftruncate(6, 9),
                                    lambda: mmap.mmap(6, 2, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)):
                        try:
                            attempt()
                            done.append("did")
                        except OSError as error:
                            done.append(str(error.errno))
                    print(*done)
                    """
                order = laboratory.order(python: attempts)
                order.secrets = memory()
                let tried = try await laboratory.run(order)
                #expect(tried.firstLine == "{} 1 1 1 1", "EPERM, four times; \(tried.errors)")
            }
        }

        @Test("The environment holds what the order says and nothing of the server's")
        func environmentIsTheOrders() async throws {
            try await withLaboratory { laboratory in
                setenv("APUS_TEST_SECRET", "of the server", 1)
                let ending = try await laboratory.run(
                    laboratory.order(["environment"], environment: ["GIVEN=yes", "HOME=/function"]))
                let lines = Set(ending.output.split(separator: "\n").map(String.init))
                #expect(
                    lines.contains("GIVEN=yes") && lines.contains("HOME=/function")
                        && lines.contains("PATH=/usr/bin:/bin"))
                #expect(!lines.contains("HOME=/tmp"))
                #expect(!ending.output.contains("APUS_TEST_SECRET"))
                #expect(Laboratory.control(["environment"]).all.contains("APUS_TEST_SECRET"))
            }
        }

        // MARK: bounds

        @Test(
            "Memory over the bound ends the process and is said to have",
            arguments: ["memory-bomb", "memory-file-bomb"])
        func memoryIsBounded(_ name: String) async throws {
            try await withLaboratory { laboratory in
                let bytes = "\(128 << 20)"
                let ending = try await laboratory.run(
                    laboratory.order([name, bytes], bounds: SandboxBounds(memoryBytes: 32 << 20)))
                #expect(ending.exit.signal == SIGKILL)
                #expect(ending.exit.isOutOfMemory)
                #expect(Laboratory.control([name, bytes]).output == "ok")
                // The slot's next occupant is not blamed for it.
                let next = try await laboratory.run(laboratory.order(["environment"]))
                #expect(next.exit == WorkerExit(code: 0, signal: nil))
            }
        }

        @Test("A function that spins is throttled to its share of a CPU, and one that need not be is not")
        func processorIsBounded() async throws {
            try await withLaboratory { laboratory in
                for (millis, isThrottled) in [(UInt32(100), true), (UInt32(64_000), false)] {
                    let before = Self.throttled(laboratory)
                    let worker = try await laboratory.launch(
                        laboratory.order(["spin"], bounds: SandboxBounds(cpuMillis: millis)))
                    defer { Laboratory.close(worker) }
                    #expect(Laboratory.await(worker.stdout) == "ready\n")
                    // Four periods of the scheduler are enough to see it; the second one has had as many by then.
                    var periods = 0
                    while periods < 4, Self.throttled(laboratory) == before || !isThrottled {
                        usleep(100_000)
                        periods += 1
                    }
                    #expect((Self.throttled(laboratory) > before) == isThrottled)
                    await laboratory.kill(worker)
                    _ = await laboratory.exit(of: worker)
                }
            }
        }

        /// How often the slots of the laboratory were throttled, all together.
        private static func throttled(_ laboratory: Laboratory) -> Int {
            HostState.groups(laboratory.nursery.report).reduce(0) { sum, group in
                let lines = (TestFiles.read("\(group)/cpu.stat") ?? "").split(separator: "\n")
                let line = lines.first { $0.hasPrefix("nr_throttled ") }
                return sum + (line.flatMap { Int($0.dropFirst(13)) } ?? 0)
            }
        }

        @Test("A neighbour goes on while another sandbox bombs")
        func neighbourLives() async throws {
            try await withLaboratory { laboratory in
                let neighbour = try await laboratory.launch(laboratory.order(["echo"]))
                defer { Laboratory.close(neighbour) }
                for attempt in [
                    ["fork-bomb", "500"], ["memory-bomb", "\(64 << 20)"], ["descriptor-bomb"],
                    ["fill", "/tmp", "100000000"],
                ] {
                    _ = try await laboratory.run(
                        laboratory.order(attempt, bounds: SandboxBounds(memoryBytes: 32 << 20)))
                    let word = "still here"
                    #expect(write(neighbour.toWorker, word, word.utf8.count) == word.utf8.count)
                    #expect(Laboratory.await(neighbour.fromWorker) == word, "after \(attempt)")
                }
                await laboratory.kill(neighbour)
                #expect(await laboratory.exit(of: neighbour).signal == SIGKILL)
            }
        }

        // MARK: the end

        @Test("What ignores every signal still ends when it is killed", arguments: ["ignore-signals", "spin"])
        func ignoresSignals(_ name: String) async throws {
            try await withLaboratory { laboratory in
                let worker = try await laboratory.launch(laboratory.order([name]))
                defer { Laboratory.close(worker) }
                #expect(Laboratory.await(worker.stdout) == "ready\n")
                await laboratory.kill(worker)
                #expect(await laboratory.exit(of: worker) == WorkerExit(code: nil, signal: SIGKILL))
                #expect(HostState.now(laboratory.nursery.report).processes.isEmpty)
            }
        }

        @Test("A daemon ends with the sandbox that made it")
        func daemonEnds() async throws {
            try await withLaboratory { laboratory in
                let before = HostState.now(laboratory.nursery.report)
                let ending = try await laboratory.run(laboratory.order(["daemon"]))
                #expect(ending.firstLine == "ok" && ending.exit.code == 0)
                #expect(HostState.now(laboratory.nursery.report) == before)
            }
            // Without a sandbox it lives on: found by its name and ended here.
            #expect(Laboratory.control(["daemon"]).output == "ok")
            let left = Folder.processes.filter {
                TestFiles.read("/proc/\($0)/cmdline") == "probe\0daemon\0"
            }
            #expect(left.count == 1)
            for process in left { kill(process, SIGKILL) }
        }

        @Test("A sandbox leaves no process, mount or busy control group behind")
        func leavesNothing() async throws {
            try await withLaboratory { laboratory in
                let before = HostState.now(laboratory.nursery.report)
                #expect(before.processes.isEmpty && before.busyGroups.isEmpty)
                for _ in 0..<20 { _ = try await laboratory.run(laboratory.order(["fork-bomb", "100"])) }
                #expect(HostState.now(laboratory.nursery.report) == before)
            }
        }

        @Test("The next occupant of a slot sees nothing of the one before")
        func slotIsClean() async throws {
            try await withLaboratory { laboratory in
                let first = try await laboratory.run(laboratory.order(["write", "/tmp/mark"]))
                #expect(first.firstLine == "ok")
                let second = try await laboratory.run(laboratory.order(["read", "/tmp/mark"]))
                #expect(second.firstLine.hasSuffix("ENOENT"))
                let host = "\(Laboratory.folder)/host/mark"
                #expect(Laboratory.control(["write", host]).output == "ok")
                #expect(Laboratory.control(["read", host]).output == "ok")
            }
        }
    }
}
