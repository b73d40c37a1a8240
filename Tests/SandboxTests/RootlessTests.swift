import ApusCore
import ApusSandbox
import ApusTestSupport
import Glibc
import Testing

extension SandboxTests {
    @Suite(
        "Sandboxes without root",
        .enabled(if: RootlessLaboratory.printed(RootlessLaboratory.problem), "no user namespaces here"))
    struct RootlessTests {
        /// Attempts that each have a sandbox of their own take long: only `make soak` makes them in every kind.
        private static let isSoak = getenv("APUS_SOAK") != nil
        /// A function with `isolation: hostile` does not run here: a test of its own says so.
        private static let profiles = AttackProfile.allCases.filter { ![.hostile, .gpu, .proxied].contains($0) }

        @Test(
            "Each attempt fails in every profile without root too, or does no more than its row says",
            arguments: profiles)
        func refuses(_ profile: AttackProfile) async throws {
            let laboratory = try RootlessLaboratory.single.get()
            let attacks = AttackTable.all.filter { $0.bounds == nil && $0.profiles.contains(profile) }
            #expect(attacks.count > 100)
            try await AttackBench(laboratory: laboratory).check(attacks, on: profile)
        }

        @Test(
            "Each attempt on what there is little of meets the bound that is left without root",
            arguments: isSoak ? profiles : [.python, .exec])
        func bounds(_ profile: AttackProfile) async throws {
            let laboratory = try RootlessLaboratory.single.get()
            for attack in AttackTable.all where attack.profiles.contains(profile) {
                guard let bounds = attack.bounds else { continue }
                try await AttackBench(laboratory: laboratory).check([attack], on: profile, bounds: bounds)
            }
        }

        @Test(
            "With lent uids each attempt fails as well, and forks and threads meet the bound of their own sandbox",
            .enabled(if: RootlessLaboratory.printed(RootlessLaboratory.lentProblem), "no lent uids here"))
        func lentUsers() async throws {
            let laboratory = try RootlessLaboratory.lent.get()
            let report = laboratory.nursery.report
            // The other laboratory's server has a part of the range already.
            #expect(!report.missing.contains(.ownUser) && report.uidBase >= RootlessLaboratory.lentBase + 2_046)
            let bench = AttackBench(laboratory: laboratory)
            try await bench.check(
                AttackTable.all.filter { $0.bounds == nil && $0.profiles.contains(.python) }, on: .python)
            for attack in AttackTable.all where attack.profiles.contains(.native) {
                guard let bounds = attack.bounds else { continue }
                try await bench.check([attack], on: .native, bounds: bounds)
            }
        }

        @Test(
            "With lent uids and delegated control groups the bounds are those of root, and only what takes root is lost",
            .enabled(if: RootlessLaboratory.printed(RootlessLaboratory.lentProblem), "no lent uids here"))
        func delegatedGroups() async throws {
            let laboratory = try RootlessLaboratory.delegated()
            let missing = laboratory.nursery.report.missing
            if missing.contains(.memory) {
                print("delegated control groups are not tested: this host's cannot be given to a user")
            } else {
                #expect(Set(missing).isSubset(of: [.execOnce, .fetchBound, .swap, .egress]), "\(missing)")
                #expect(laboratory.nursery.report.warnings.isEmpty)
                for attack in AttackTable.all where attack.profiles.contains(.native) {
                    guard let bounds = attack.bounds else { continue }
                    try await AttackBench(laboratory: laboratory).check([attack], on: .native, bounds: bounds)
                }
            }
            await laboratory.end()
            RootlessLaboratory.removeGroups()
        }

        @Test("Where the host lets nobody mount a /proc, sandboxes have none, say so, and work all the same")
        func withoutProc() async throws {
            let laboratory = try RootlessLaboratory.covered()
            let report = laboratory.nursery.report
            #expect(!report.hasProc && !report.missing.contains(.procSubset))
            #expect(report.warnings.contains { $0.hasPrefix("no /proc in sandboxes") })
            let native = try await laboratory.run(laboratory.order(["list", "/proc/self"]))
            #expect(native.firstLine.hasSuffix("ENOENT"), "\(native)")
            let snippet = "import threading, tempfile, json; tempfile.TemporaryFile(); print(json.dumps([1]))"
            let python = try await laboratory.run(laboratory.order(python: snippet))
            #expect(python.output == "[1]\n" && python.exit.code == 0, "\(python)")
            let worker = try await laboratory.launch(LaunchOrder(runtime: .exec, bundle: Laboratory.bundle))
            let answer = try ExecSession(worker).call("echo done", "")
            #expect(answer.text == "done\n", "\(answer)")
            await laboratory.kill(worker)
            _ = await laboratory.exit(of: worker)
            Laboratory.close(worker)
            await laboratory.end()
        }

        @Test("With lent uids every slot has its own on the host, and none is the server's")
        func uids() async throws {
            for lab in [RootlessLaboratory.single, RootlessLaboratory.lent] {
                guard let laboratory = try? lab.get() else { continue }
                let report = laboratory.nursery.report
                let worker = try await laboratory.launch(laboratory.order(["echo"]))
                // It becomes the slot's user on its way.
                _ = waitUntil(seconds: 10) { !HostState.now(report).processes.isEmpty }
                let path = HostState.now(report).processes.first.map { "/proc/\($0)/status" } ?? ""
                let line = (TestFiles.read(path) ?? "").split(separator: "\n").first { $0.hasPrefix("Uid:") }
                let uid = line?.split(separator: "\t").dropFirst().first.flatMap { uid_t($0) }
                if report.missing.contains(.ownUser) {
                    #expect(uid == RootlessLaboratory.user)
                } else {
                    #expect(uid.map { $0 > report.uidBase && $0 <= report.uidBase + 16 } == true, "\(uid as Any)")
                }
                await laboratory.kill(worker)
                _ = await laboratory.exit(of: worker)
                Laboratory.close(worker)
            }
        }

        @Test(
            "What is missing is said in the report and with every launch, and code that is not trusted at all does not run"
        )
        func report() async throws {
            let laboratory = try RootlessLaboratory.single.get()
            let report = laboratory.nursery.report
            #expect(report.mode == .rootless && report.serverUser == RootlessLaboratory.user)
            #expect(Set(report.missing).isSuperset(of: [.memory, .processes, .cpu, .execOnce, .ownUser]))
            #expect(!report.allowsHostile && report.warnings.count == 2)
            let worker = try await laboratory.launch(laboratory.order(["read", "/etc/passwd"]))
            #expect(worker.mode == .rootless && worker.missingLayers.contains("own-uid"))
            _ = await laboratory.exit(of: worker)
            Laboratory.close(worker)
            var order = laboratory.order(["read", "/etc/passwd"])
            order.isolation = .hostile
            let refused = order
            await #expect(throws: ApusError.self) { _ = try await laboratory.launch(refused) }
        }

        @Test("A layer is built and sealed without root, and belongs to the server")
        func layers() async throws {
            for lab in [RootlessLaboratory.single, RootlessLaboratory.lent] {
                guard let laboratory = try? lab.get() else { continue }
                let layer = String(repeating: "5", count: 64)
                try await laboratory.prepare(layer)
                var order = LaunchOrder(
                    runtime: .build, bundle: Laboratory.bundle, layer: layer,
                    arguments: Laboratory.pipArguments(["install", "--target", "/out/site"]) + ["/function/hostile"],
                    environment: ["ATTACK=pass"])
                order.bounds = SandboxBounds(memoryBytes: 512 << 20, processes: 64, scratchBytes: 64 << 20)
                let ending = try await laboratory.run(order)
                #expect(ending.exit.code == 0, "\(ending)")
                try await laboratory.seal(layer).get()
                var about = stat()
                #expect(lstat("\(laboratory.data)/layers/\(layer)/hostile.py", &about) == 0)
                #expect(about.st_uid == RootlessLaboratory.user && about.st_mode & 0o7777 == 0o444)
            }
        }

        @Test("Where user namespaces are refused, the nursery says so and does not start")
        func refused() throws {
            // Nobody makes a user namespace from a changed root.
            let child = "\(RootlessLaboratory.folder)/root"
            TestFiles.makeFolder(child)
            let script = "mount --rbind / \(child) && exec chroot \(child) "
            let words =
                RootlessLaboratory.asUser + [
                    "\(RootlessLaboratory.folder)/bin/nursery", "--channels", "1", "--runtimes", "/r", "--profiles",
                    "/p",
                    "--rootless", "1",
                ]
            _ = try RootlessLaboratory.single.get()
            let run = try RootlessLaboratory.run([
                "/usr/bin/unshare", "-m", "/bin/sh", "-c",
                script + words.joined(separator: " ") + " 3<>/dev/null 4<>/dev/null",
            ])
            #expect(run.status == 1 && run.errors.hasPrefix("ERROR no user namespaces (unshare: "), "\(run)")
        }
    }
}
