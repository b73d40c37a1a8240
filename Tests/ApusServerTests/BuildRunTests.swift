import ApusCore
import ApusLoop
import Testing

@testable import ApusServer

@Suite struct BuildRunTests {
    /// A run, its launcher and how it ended. Everything but `loop` is touched on the loop only.
    private final class Case: @unchecked Sendable {
        // SAFETY: as said above.
        let bed = LoopBed()
        let launcher = FakeLauncher()
        var run: BuildRun?
        var room = DiskRoom(bytes: 100 << 30, files: 10_000_000)
        var looks = 0
        var results: [Result<BuildRun.Outcome, ApusError>] = []
        var outcome: BuildRun.Outcome? { if case .success(let outcome)? = self.results.first { outcome } else { nil } }

        init(keepsRun: Bool = true) async {
            await self.bed.run {
                let run = BuildRun(
                    self.bed.loop, self.launcher,
                    room: {
                        self.looks += 1
                        return self.room
                    }
                ) { self.results.append($0) }
                run.start(LaunchOrder(runtime: .build, bundle: "b"))
                if keepsRun { self.run = run }
            }
        }

        func exit(_ code: Int32?, signal: Int32? = nil, ticket: UInt64 = 7) async {
            await self.bed.run {
                self.launcher.onExit?(LaunchTicket(rawValue: ticket), WorkerExit(code: code, signal: signal))
            }
        }

        func accept() async { await self.bed.run { self.launcher.accept(LaunchTicket(rawValue: 7)) } }

        func close() async {
            await self.bed.run {
                self.launcher.closeAll()
                self.run = nil
            }
            self.bed.loop.stop()
        }
    }

    @Test func tellsTheExitAndWhatBothOutputsSaid() async throws {
        let build = await Case()
        await build.accept()
        await build.bed.run {
            FakeLauncher.write(Array("out\n".utf8), to: build.launcher.stdout)
            FakeLauncher.write(Array("err\n".utf8), to: build.launcher.stderr)
        }
        await build.exit(3)
        try await build.bed.until("the end") { !build.results.isEmpty }
        let outcome = await build.bed.run { build.outcome }
        #expect(outcome?.exit == WorkerExit(code: 3, signal: nil))
        #expect(outcome?.output.contains("out\n") == true && outcome?.output.contains("err\n") == true)
        #expect(await build.bed.run { build.launcher.orders.map(\.runtime) } == [.build])
        await build.close()
    }

    @Test func closesEveryDescriptorItWasGiven() async throws {
        let build = await Case()
        await build.accept()
        #expect(await build.bed.run { build.launcher.others.allSatisfy(FakeLauncher.isAbandoned) })
        #expect(await build.bed.run { !FakeLauncher.isAbandoned(build.launcher.stdout) })
        await build.exit(0)
        try await build.bed.until("the end") { !build.results.isEmpty }
        #expect(
            await build.bed.run { [build.launcher.stdout, build.launcher.stderr].allSatisfy(FakeLauncher.isAbandoned) })
        await build.close()
    }

    @Test func readsOnWhenTheProcessClosedItsOutputsBeforeItsEnd() async throws {
        let build = await Case()
        await build.accept()
        await build.bed.run {
            FakeLauncher.write(Array("last words".utf8), to: build.launcher.stdout)
            build.launcher.closeAll()
        }
        await build.exit(0)
        try await build.bed.until("the end") { !build.results.isEmpty }
        #expect(await build.bed.run { build.outcome?.output } == "last words")
        await build.bed.run { build.run = nil }
        build.bed.loop.stop()
    }

    @Test func keepsOnlyTheEndOfALongOutput() async throws {
        let build = await Case()
        await build.accept()
        let lines = Array(String(repeating: "0123456789abcde\n", count: 1_024).utf8)
        let rounds = 4 * Limits.Server.buildOutputBytes / lines.count
        for round in 0..<rounds {
            // A pipe holds 64 KiB: each write waits until the one before was read.
            await build.bed.run { FakeLauncher.write(lines, to: build.launcher.stdout) }
            if round % 2 == 1 { try await build.bed.until("the pipe is empty") { build.launcher.waitingOutput == 0 } }
        }
        await build.bed.run { FakeLauncher.write(Array("THE END".utf8), to: build.launcher.stdout) }
        await build.exit(1)
        try await build.bed.until("the end") { !build.results.isEmpty }
        let output = await build.bed.run { build.outcome?.output ?? "" }
        #expect(output.utf8.count == Limits.Server.buildOutputBytes)
        #expect(output.hasSuffix("abcde\nTHE END"))
        await build.close()
    }

    @Test func tellsOnceWhyNothingWasLaunched() async {
        let build = await Case()
        await build.bed.run { build.launcher.refuse(ApusError(.noSlot, "no room")) }
        let codes = await build.bed.run {
            build.results.map { if case .failure(let error) = $0 { error.code } else { ErrorCode.internal } }
        }
        #expect(codes == [.noSlot])
        await build.exit(0)
        #expect(await build.bed.run { build.results.count } == 1)
        await build.close()
    }

    @Test func passesOverTheExitsOfOthers() async throws {
        let build = await Case()
        await build.accept()
        await build.exit(0, ticket: 8)
        #expect(await build.bed.run { build.results.isEmpty })
        await build.exit(nil, signal: 9)
        try await build.bed.until("the end") { !build.results.isEmpty }
        #expect(await build.bed.run { build.outcome?.exit } == WorkerExit(code: nil, signal: 9))
        await build.close()
    }

    @Test func answersOnceAndLetsGoWhenItIsAbandoned() async throws {
        let build = await Case()
        await build.accept()
        await build.bed.run { build.run?.abandon() }
        await build.exit(0)
        let codes = await build.bed.run {
            build.results.map { if case .failure(let error) = $0 { error.code } else { ErrorCode.internal } }
        }
        #expect(codes == [.shuttingDown])
        #expect(
            await build.bed.run { [build.launcher.stdout, build.launcher.stderr].allSatisfy(FakeLauncher.isAbandoned) })
        await build.close()
    }

    @Test(arguments: [true, false]) func endsABuildThatTakesMoreOfTheDiskThanItsBound(takesBytes: Bool) async throws {
        let build = await Case()
        await build.accept()
        await build.bed.run {
            if takesBytes {
                build.room.bytes -= Limits.Server.buildDiskBytes
            } else {
                build.room.files -= Limits.Server.buildDiskFiles
            }
            build.looks = 0
        }
        try await build.bed.until("it is looked at") { build.looks >= 2 }
        #expect(await build.bed.run { build.launcher.killed.isEmpty }, "at the bound it goes on")
        await build.bed.run { if takesBytes { build.room.bytes -= 1 } else { build.room.files -= 1 } }
        try await build.bed.until("its end") { build.launcher.killed == [LaunchTicket(rawValue: 7)] }
        await build.exit(nil, signal: 9)
        try await build.bed.until("the end") { !build.results.isEmpty }
        #expect(await build.bed.run { build.outcome?.output.contains("too much of the disk") } == true)
        await build.close()
    }

    @Test func livesUntilItsProcessHasEndedWhenNobodyKeepsIt() async throws {
        let build = await Case(keepsRun: false)
        await build.accept()
        await build.exit(0)
        // Everything happens on one loop, in order: the exit has been told, or it never will be.
        #expect(
            await build.bed.run { build.results.count } == 1,
            "a deployment that builds dependencies would wait for ever")
        await build.close()
    }
}
