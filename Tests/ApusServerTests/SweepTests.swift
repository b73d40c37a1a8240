import ApusCore
import ApusStore
import ApusTestSupport
import Glibc
import Testing

@testable import ApusServer

@Suite struct SweepTests {
    private static let start = Timestamp(milliseconds: 1_000_000)

    /// Runs a round to its end, with one step for each kind unless `steps` says otherwise.
    private static func finish(
        _ schedule: inout SweepSchedule, from first: SweepSchedule.Action, now: Timestamp,
        _ steps: (SweepKind, Int) -> SweepStep = { _, _ in SweepStep(removed: 1, kept: 2) }
    ) -> (kinds: [SweepKind], last: SweepSchedule.Action) {
        var action = first
        var kinds: [SweepKind] = []
        while case .run(let kind, _) = action {
            kinds.append(kind)
            action = schedule.event(.finished(steps(kind, kinds.count { $0 == kind })), now: now)
        }
        return (kinds, action)
    }

    @Test func everyKindIsSweptInTurnAndAgainAfterTheInterval() {
        var schedule = SweepSchedule(now: Self.start)
        #expect(schedule.event(.tick, now: Self.start) == .none, "a start has enough to do")
        let first = Self.start + .seconds(Limits.Server.firstSweepSeconds)
        let round = Self.finish(&schedule, from: schedule.event(.tick, now: first), now: first)
        #expect(round.kinds == SweepKind.allCases)
        #expect(schedule.event(.tick, now: first + .seconds(Limits.Server.sweepSeconds - 1)) == .none)
        #expect(
            schedule.event(.tick, now: first + .seconds(Limits.Server.sweepSeconds)) == .run(.bundles, isDryRun: false))
        #expect(schedule.status[.logs]?.removed == 1)
    }

    @Test func aKindWithMoreToDoGetsMoreStepsWithinABound() {
        var schedule = SweepSchedule(now: Self.start)
        let now = Self.start + .seconds(Limits.Server.firstSweepSeconds)
        let round = Self.finish(&schedule, from: schedule.event(.tick, now: now), now: now) { kind, count in
            SweepStep(removed: 1, hasMore: kind == .layers || (kind == .bundles && count < 3))
        }
        #expect(round.kinds.count { $0 == .bundles } == 3)
        #expect(round.kinds.count { $0 == .layers } == Limits.Server.sweepStepsPerRound)
        #expect(schedule.status[.bundles]?.removed == 3)
    }

    @Test func aKindThatFailsDoesNotKeepTheOthers() {
        var schedule = SweepSchedule(now: Self.start)
        let now = Self.start + .seconds(Limits.Server.firstSweepSeconds)
        _ = schedule.event(.tick, now: now)
        let next = schedule.event(.failed("the disk says no"), now: now)
        #expect(next == .run(.layers, isDryRun: false))
        _ = Self.finish(&schedule, from: next, now: now)
        #expect(schedule.status[.bundles]?.failure == "the disk says no")
        #expect(schedule.status[.bundles]?.failures == 1)
        #expect(schedule.status[.logs]?.failure == nil)
    }

    @Test func whoAsksIsAnsweredAndADryRunCountsForNothing() {
        var schedule = SweepSchedule(now: Self.start)
        let first = schedule.event(.asked(request: 7, isDryRun: true), now: Self.start)
        #expect(first == .run(.bundles, isDryRun: true))
        #expect(schedule.event(.asked(request: 8, isDryRun: false), now: Self.start) == .none)
        #expect(schedule.event(.asked(request: 9, isDryRun: false), now: Self.start) == .none)
        let dry = Self.finish(&schedule, from: first, now: Self.start) { _, _ in SweepStep(removed: 5, hasMore: true) }
        #expect(dry.kinds == SweepKind.allCases, "a dry run would find the same again")
        guard case .done([7], let found) = dry.last else { return #expect(Bool(false), "7 is answered") }
        #expect(found[.fates]?.removed == 5)
        #expect(schedule.status.isEmpty)
        let both = Self.finish(&schedule, from: schedule.event(.tick, now: Self.start), now: Self.start)
        guard case .done([8, 9], _) = both.last else { return #expect(Bool(false), "one round answers both") }
    }

    @Test func whoeverAsksAboveTheBoundIsRefused() {
        var schedule = SweepSchedule(now: Self.start)
        _ = schedule.event(.asked(request: 0, isDryRun: false), now: Self.start)
        for request in 1...UInt64(Limits.Server.sweepRequests) {
            #expect(schedule.event(.asked(request: request, isDryRun: false), now: Self.start) == .none)
        }
        #expect(schedule.event(.asked(request: 99, isDryRun: false), now: Self.start) == .refuse(99))
    }

    // MARK: folders

    private static func name(_ digit: Character) -> String { String(repeating: digit, count: 64) }

    /// Folders last used the given seconds before ``start``.
    private static func folders(_ scratch: ScratchDirectory, _ ages: [Character: Int]) throws -> KeptFolders {
        for (digit, age) in ages {
            let path = "\(scratch.path)/\(Self.name(digit))"
            try #require(mkdir(path, 0o755) == 0)
            var times = [timespec](repeating: timespec(tv_sec: 1_000 - age, tv_nsec: 0), count: 2)
            try #require(utimensat(AT_FDCWD, path, &times, 0) == 0)
        }
        return KeptFolders(folder: scratch.path)
    }

    @Test func onlyWhatWasUnusedForLongerThanTheGraceGoes() throws {
        let scratch = ScratchDirectory("folders")
        let folders = try Self.folders(scratch, ["a": 500, "b": 500, "c": 50])
        let dry = FolderSweep(folders, grace: .seconds(100), isDryRun: true, now: Self.start)
        #expect(try dry.retire { $0 == Self.name("a") }.step.removed == 1)
        #expect(try folders.names().count == 3)

        let sweep = FolderSweep(folders, grace: .seconds(100), isDryRun: false, now: Self.start)
        let step = try sweep.remove(try sweep.retire { $0 == Self.name("a") })
        #expect(step == SweepStep(removed: 1, kept: 2))
        #expect(try folders.names() == [Self.name("a"), Self.name("c")])
        // The used one is marked: its grace begins when it is used no longer.
        #expect(try folders.lastUsed(Self.name("a")) > Self.start)
        #expect(try sweep.retire { _ in false }.step.removed == 0)
    }

    @Test func overTheQuotaTheLongestUnusedGoFirst() throws {
        let scratch = ScratchDirectory("quota")
        let folders = try Self.folders(scratch, ["a": 30, "b": 20, "c": 10, "d": 90])
        var sweep = FolderSweep(folders, grace: .seconds(100), isDryRun: false, now: Self.start)
        sweep.sizes = [Self.name("a"): 10, Self.name("b"): 10, Self.name("c"): 10, Self.name("d"): 10]
        sweep.quota = 25
        let step = try sweep.remove(try sweep.retire { $0 == Self.name("d") })
        #expect(step == SweepStep(removed: 2, removedBytes: 20, kept: 2, keptBytes: 20))
        #expect(try folders.names() == [Self.name("c"), Self.name("d")])
    }

    @Test func aStepTakesABoundedNumberOfFolders() throws {
        let scratch = ScratchDirectory("many")
        for index in 0...Limits.Server.sweepFolders {
            let digits = String(index, radix: 16)
            let name = String(repeating: "0", count: 64 - digits.count) + digits
            try #require(mkdir("\(scratch.path)/\(name)", 0o755) == 0)
        }
        let folders = KeptFolders(folder: scratch.path)
        let later = Timestamp(microseconds: .max / 2)
        let sweep = FolderSweep(folders, grace: .seconds(1), isDryRun: false, now: later)
        let first = try sweep.remove(try sweep.retire { _ in false })
        #expect(first.removed == Limits.Server.sweepFolders && first.hasMore && first.kept == 1)
        let second = try sweep.remove(try sweep.retire { _ in false })
        #expect(second.removed == 1 && !second.hasMore)
    }

    @Test func whatDeploymentsAndBackupsNeedIsKnownUntilTheyEnd() {
        let usage = FolderUsage()
        usage.deploymentBegins(bundles: ["a", "b"])
        usage.deploymentBegins(bundles: ["a"])
        usage.deploymentEnds(bundles: ["a", "b"])
        #expect(usage.needsBundle("a") && !usage.needsBundle("b") && usage.mayNeedLayers)
        usage.deploymentEnds(bundles: ["a"])
        #expect(!usage.needsBundle("a") && !usage.mayNeedLayers)
        usage.backupBegins(bundles: ["c"])
        #expect(usage.needsBundle("c"))
        usage.backupEnds()
        #expect(!usage.needsBundle("c"))
    }
}
