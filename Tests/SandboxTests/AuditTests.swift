import ApusCore
import ApusSandbox
import ApusTestSupport
import CShims
import Glibc
import Testing

extension SandboxTests {
    /// Denied calls, from where they are made to what is told of them.
    @Suite("Audit of denials")
    struct AuditTests {
        private static let net = """
            import socket
            for family, kind in [(socket.AF_NETLINK, socket.SOCK_RAW)] * 3 + [(socket.AF_INET, socket.SOCK_STREAM)]:
                try: socket.socket(family, kind)
                except OSError as error: print(error.errno, flush=True)
            """

        @Test(
            "A denied call fails as it did, and the audit has it with the arguments that matter, as often as it was made"
        )
        func counts() async throws {
            try await withLaboratory { laboratory in
                let run = try await laboratory.run(laboratory.order(python: Self.net))
                #expect(run.output == String(repeating: "\(EAFNOSUPPORT)\n", count: 4), "\(run)")
                #expect(
                    run.exit.denials
                        == DenialReport([
                            Denial("socket", "AF_NETLINK, SOCK_RAW", count: 3),
                            Denial("socket", "AF_INET, SOCK_STREAM"),
                        ]))
                #expect(!run.exit.isUnaudited && run.exit.processesRefused == 0)
            }
        }

        @Test("A sandbox that is denied nothing has nothing in the audit, whoever had its slot before")
        func startsEmpty() async throws {
            try await withLaboratory { laboratory in
                _ = try await laboratory.run(laboratory.order(python: Self.net))
                let run = try await laboratory.run(laboratory.order(python: "print('well')"))
                #expect(run.firstLine == "well" && run.exit.denials.isEmpty && !run.exit.isUnaudited, "\(run)")
            }
        }

        @Test("What a worker was denied can be read before it goes on")
        func isThereAtOnce() async throws {
            try await withLaboratory { laboratory in
                let snippet = Self.net + "\nimport time\nprint('denied', flush=True)\ntime.sleep(60)"
                let worker = try await laboratory.launch(laboratory.order(python: snippet))
                defer { Laboratory.close(worker) }
                let source = try #require(worker.denials)
                var output = ""
                while !output.contains("denied") { output += try #require(Laboratory.await(worker.stdout)) }
                #expect(source.total() == 4)
                let report = source.report()
                #expect(report.denials.first == Denial("socket", "AF_NETLINK, SOCK_RAW", count: 3))
                await laboratory.kill(worker)
                #expect(await laboratory.exit(of: worker).denials == report)
                // The slot is another's: what is asked for by the old ticket is nobody's any more.
                let next = try await laboratory.launch(laboratory.order(python: "import time; time.sleep(60)"))
                await laboratory.kill(next)
                _ = await laboratory.exit(of: next)
                Laboratory.close(next)
                #expect(source.report() == DenialReport() || source.report() == report)
            }
        }

        @Test("Functions on Node, native ones, commands and builds are audited too")
        func everyRuntime() async throws {
            try await withLaboratory { laboratory in
                let native = try await laboratory.run(laboratory.order(["unshare"]))
                #expect(native.exit.denials.has(Denial("unshare")), "\(native)")
                if access("/usr/bin/node", X_OK) == 0 {
                    let snippet = """
                        await new Promise(done => require('net').connect(1, '127.0.0.1').on('error', error => {
                            console.log(error.code); done() }));
                        """
                    let node = try await laboratory.run(laboratory.order(node: snippet))
                    #expect(node.exit.denials.has(Denial("socket", "AF_INET, SOCK_STREAM")), "\(node)")
                    let quiet = try await laboratory.run(laboratory.order(node: "console.log(1)"))
                    #expect(quiet.exit.denials.isEmpty, "Node itself asks for nothing that is reported: \(quiet)")
                }
                let worker = try await laboratory.launch(LaunchOrder(runtime: .exec, bundle: Laboratory.bundle))
                defer { Laboratory.close(worker) }
                let session = try ExecSession(worker)
                _ = try session.call("/function/probe unshare", "")
                session.drain()
                #expect(await laboratory.exit(of: worker).denials.has(Denial("unshare")))
            }
        }

        @Test("A flood is answered up to its bound, refused by the kernel beyond, and no neighbour waits for it")
        func floodIsBounded() async throws {
            try await withLaboratory { laboratory in
                let bound = Int(NURSERY_AUDIT_ANSWERS_MAX)
                let snippet = """
                    import ctypes
                    libc = ctypes.CDLL(None, use_errno=True)
                    def denied(): return libc.unshare(0x10000000) == -1 and ctypes.get_errno()
                    seen = [denied() for _ in range(\(bound * 3))]
                    print(seen[:\(bound)].count(1), seen[\(bound):].count(38), flush=True)
                    """
                let neighbour = try await Neighbour(laboratory)
                let run = try await laboratory.run(laboratory.order(python: snippet))
                #expect(run.firstLine == "\(bound) \(bound * 2)", "EPERM to the bound, ENOSYS beyond: \(run)")
                #expect(
                    run.exit.denials
                        == DenialReport([Denial("unshare", "CLONE_NEWUSER", count: UInt32(bound))], isSpent: true))
                #expect(await neighbour.end() > 0)
                let next = try await laboratory.run(laboratory.order(python: Self.net))
                #expect(next.exit.denials.denials.count == 2 && !next.exit.denials.isSpent, "\(next)")
            }
        }

        @Test("More kinds than are told apart are counted together")
        func kindsAreBounded() async throws {
            try await withLaboratory { laboratory in
                let bound = Int(NURSERY_AUDIT_RECORDS_MAX)
                let snippet = """
                    import ctypes
                    libc = ctypes.CDLL(None, use_errno=True)
                    for number in range(\(bound + 7)): libc.setfsuid(number)
                    """
                let run = try await laboratory.run(laboratory.order(python: snippet))
                #expect(run.exit.denials.denials.count == bound && run.exit.denials.others == 7, "\(run.exit)")
                #expect(run.exit.denials.denials.last == Denial("setfsuid", "\(bound - 1)"))
            }
        }

        @Test("A worker refused more processes than its bound says so at its end")
        func processesAreCounted() async throws {
            try await withLaboratory { laboratory in
                let snippet = """
                    import os, time
                    made = 0
                    for _ in range(12):
                        try:
                            if os.fork() == 0: time.sleep(60)
                            made += 1
                        except OSError as error: pass
                    print(made, flush=True)
                    os._exit(0)
                    """
                let bounds = SandboxBounds(processes: 4)
                let run = try await laboratory.run(laboratory.order(python: snippet, bounds: bounds))
                #expect(run.firstLine == "3" && run.exit.processesRefused == 9, "\(run)")
                let next = try await laboratory.run(laboratory.order(python: "pass", bounds: bounds))
                #expect(next.exit.processesRefused == 0)
            }
        }

        @Test("A worker has no descriptor of the audit, and neither sees nor can signal the auditor")
        func auditorIsOutOfReach() async throws {
            try await withLaboratory { laboratory in
                let auditor = try #require(Self.auditor(of: laboratory.nursery))
                let snippet = """
                    import os
                    links = {number: os.readlink(f'/proc/self/fd/{number}') for number in os.listdir('/proc/self/fd')
                        if os.path.islink(f'/proc/self/fd/{number}')}
                    print(sorted(number for number in links if int(number) < 1024),
                        any('seccomp' in link or 'memfd' in link for link in links.values()))
                    for signal in (0, 9):
                        try: os.kill(\(auditor), signal); print('reached')
                        except OSError as error: print(error.errno)
                    print([name for name in os.listdir('/proc') if name.isdigit()], os.path.exists('/proc/\(auditor)'))
                    """
                let run = try await laboratory.run(laboratory.order(python: snippet))
                #expect(
                    run.output == """
                        ['0', '1', '2', '3', '4', '5'] False
                        \(ESRCH)
                        \(ESRCH)
                        ['1'] False

                        """, "\(run)")
                #expect(Self.auditor(of: laboratory.nursery) == auditor)
            }
        }

        @Test("The auditor has no power: a user of its own, no capability, no file, a filter, nobody's namespaces")
        func auditorIsConfined() async throws {
            try await withLaboratory { laboratory in
                let auditor = try #require(Self.auditor(of: laboratory.nursery))
                let status = TestFiles.read("/proc/\(auditor)/status") ?? ""
                func field(_ name: String) -> String {
                    let line = status.split(separator: "\n").first { $0.hasPrefix("\(name):") } ?? ""
                    return line.split { $0 == "\t" || $0 == " " }.dropFirst().joined(separator: " ")
                }
                for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
                    #expect(UInt64(field(name), radix: 16) == 0, "\(name)")
                }
                #expect(field("NoNewPrivs") == "1" && field("Seccomp") == "2" && field("Groups").isEmpty)
                #expect(field("NSpid").split(separator: " ").last == "1")
                #expect(Folder.names("/proc/\(auditor)/root").allSatisfy { $0.hasPrefix(".") })
                let open = Folder.names("/proc/\(auditor)/fd").filter { Int($0) != nil }
                #expect(open.count < 20, "its channel, its poller and listeners: \(open)")
            }
        }

        @Test("When the auditor is killed, what runs stays denied, and the next sandboxes are audited again")
        func auditorIsReplaced() async throws {
            try await withLaboratory { laboratory in
                let audit = try #require(laboratory.nursery.report.audit)
                let starts = audit.starts
                let snippet = """
                    import select
                    print('ready', flush=True)
                    select.select([3], [], [], 60)
                    \(Self.net)
                    """
                let worker = try await laboratory.launch(laboratory.order(python: snippet))
                #expect(Laboratory.await(worker.stdout) == "ready\n")
                try #require(kill(try #require(Self.auditor(of: laboratory.nursery)), SIGKILL) == 0)
                // The word that it may go on; the kernel now denies by itself.
                try #require(waitUntil(seconds: 10) { audit.starts > starts || !audit.isRunning })
                #expect(write(worker.toWorker, "x", 1) == 1)
                let exit = await laboratory.exit(of: worker)
                #expect(TestFiles.drain(worker.stdout) == String(repeating: "\(ENOSYS)\n", count: 4))
                Laboratory.close(worker)
                #expect(exit.code == 0 && exit.denials.isEmpty)
                // Another is started with the next sandbox, a second after the one before at the earliest.
                let deadline = 200
                for attempt in 0..<deadline {
                    let run = try await laboratory.run(laboratory.order(python: Self.net))
                    #expect(run.output.split(separator: "\n").count == 4, "\(run)")
                    if run.exit.denials.denials.count == 2 { break }
                    #expect(attempt < deadline - 1, "no auditor came back: \(run.exit)")
                    try await Task.sleep(for: .milliseconds(20))
                }
                #expect(audit.starts == starts + 1 && audit.isRunning)
            }
        }

        @Test("While no auditor runs, hostile code does not start, and other code starts and says what it lacks")
        func hostileNeedsTheAuditor() async throws {
            try await withLaboratory { laboratory in
                let audit = try #require(laboratory.nursery.report.audit)
                var missing: [String] = []
                var refusal = ""
                // A second auditor within a second is not started: the first kill may find one that is old enough.
                for _ in 0..<20 where missing.isEmpty {
                    guard let auditor = Self.auditor(of: laboratory.nursery) else { continue }
                    try #require(kill(auditor, SIGKILL) == 0)
                    _ = waitUntil(seconds: 10) { !audit.isRunning || Self.auditor(of: laboratory.nursery) != auditor }
                    guard !audit.isRunning else { continue }
                    var order = laboratory.order(python: "pass")
                    order.isolation = .hostile
                    do { Laboratory.close(try await laboratory.launch(order)) } catch { refusal = "\(error)" }
                    let worker = try await laboratory.launch(laboratory.order(python: Self.net))
                    missing = worker.missingLayers
                    let exit = await laboratory.exit(of: worker)
                    defer { Laboratory.close(worker) }
                    // The second may have been over by now: then there is one again, and the next round kills it.
                    guard missing.contains("denial-audit") else {
                        missing = []
                        continue
                    }
                    #expect(TestFiles.drain(worker.stdout) == String(repeating: "\(ENOSYS)\n", count: 4))
                    #expect(exit.isUnaudited && exit.denials.isEmpty)
                }
                #expect(missing.contains("denial-audit") && refusal.contains("isolation"), "\(missing) \(refusal)")
                #expect(laboratory.nursery.report.lines.contains { $0.name == "denial-audit" })
                for _ in 0..<200 where !audit.isRunning {
                    _ = try await laboratory.run(laboratory.order(python: "pass"))
                    try await Task.sleep(for: .milliseconds(20))
                }
                #expect(audit.isRunning)
            }
        }

        /// The child of the nursery that has the auditor's user.
        private static func auditor(of nursery: Nursery) -> pid_t? {
            let user = HostState.auditor(of: nursery.report)
            return Folder.processes.first { process in
                guard let status = TestFiles.read("/proc/\(process)/status") else { return false }
                return status.contains("PPid:\t\(nursery.process)\n") && status.contains("Uid:\t\(user)\t")
            }
        }
    }
}
