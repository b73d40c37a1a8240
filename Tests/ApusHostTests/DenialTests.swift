import ApusCore
import ApusEngine
import ApusHost
import ApusLoop
import ApusTestSupport
import Glibc
import Synchronization
import Testing

/// What a worker is said to have been denied, as its sandbox would.
final class Denied: Sendable {
    private let report = Mutex(DenialReport())
    private let isOutOfMemory = Mutex(false)

    func add(_ denial: Denial) { self.report.withLock { $0.denials.append(denial) } }
    func endForMemory() { self.isOutOfMemory.withLock { $0 = true } }
    func spend() { self.report.withLock { $0.isSpent = true } }

    var source: DenialSource {
        DenialSource(
            total: { self.report.withLock { $0.denials.reduce($0.others) { $0 + $1.count } } },
            report: { self.report.withLock { $0 } })
    }

    func add(to exit: inout WorkerExit) {
        exit.denials = self.report.withLock { $0 }
        exit.isOutOfMemory = self.isOutOfMemory.withLock { $0 }
        exit.processesRefused = exit.isOutOfMemory ? 3 : 0
    }
}

/// A launcher whose workers are audited. Confined to its loop.
final class AuditedLauncher: WorkerLauncher {
    private let launcher: DirectLauncher
    private let denied: Denied
    var onExit: ((LaunchTicket, WorkerExit) -> Void)?

    init(_ launcher: DirectLauncher, _ denied: Denied) {
        self.launcher = launcher
        self.denied = denied
        launcher.onExit = { [unowned self] ticket, exit in
            var exit = exit
            self.denied.add(to: &exit)
            self.onExit?(ticket, exit)
        }
    }

    func launch(_ order: LaunchOrder, _ completion: @escaping (Result<LaunchedWorker, ApusError>) -> Void) {
        self.launcher.launch(order) { result in
            completion(
                result.map {
                    var worker = $0
                    worker.denials = self.denied.source
                    return worker
                })
        }
    }

    func kill(_ ticket: LaunchTicket) { self.launcher.kill(ticket) }
}

/// Holds workers in their call until it is opened.
final class Gate: Sendable {
    let path = "/tmp/apus-gate-\(getpid())-\(UInt64.random(in: 0..<UInt64.max))"

    func open() { close(Glibc.open(self.path, O_CREAT | O_WRONLY, 0o600)) }

    deinit { unlink(self.path) }
}

@Suite struct DenialTests {
    private func lines(_ bed: Bed) async -> [LogLine] {
        await bed.run { bed.lines.filter { String(decoding: $0.text, as: UTF8.self).hasPrefix("denied ") } }
    }

    private func texts(_ bed: Bed) async -> [String] {
        await self.lines(bed).map { String(decoding: $0.text, as: UTF8.self) }
    }

    /// Of the attempts that are remembered, the newest first.
    private func denials(_ bed: Bed) async -> [[Denial]] {
        await bed.run {
            bed.shard.deliveries(limit: 10) { _ in true }.flatMap { $0.lastAttempts.map(\.timing.denials) }
        }
    }

    @Test func whatIsDeniedIsTheInvocationsThatRanAlone() async throws {
        let denied = Denied()
        let bed = try await Bed(denied: denied)
        let gate = Gate()
        try await bed.deploy(function(1, ["gate", gate.path]))
        async let answer = bed.invoke(1, "x")
        try await bed.until("it runs") { bed.shard.instances().contains { $0.inFlight == 1 } }
        denied.add(Denial("socket", "AF_INET", count: 2))
        gate.open()
        #expect(await answer.text == "x")
        let line = try #require(await self.lines(bed).first)
        #expect(String(decoding: line.text, as: UTF8.self) == "denied socket(AF_INET) x2" && line.level == .warning)
        #expect(line.invocation == InvocationID(high: 1, low: 2))
        #expect(await self.denials(bed) == [[Denial("socket", "AF_INET", count: 2)]])
        #expect(await bed.invoke(1, "y").text == "y")
        #expect(await self.denials(bed) == [[], [Denial("socket", "AF_INET", count: 2)]], "not the next one's")
        let activity = await bed.run { bed.shard.activity().first?.counts.denials }
        #expect(activity == ["socket": 2])
        await bed.close()
    }

    @Test func whatIsDeniedWhileSeveralRunIsTheWorkers() async throws {
        let denied = Denied()
        let bed = try await Bed(denied: denied)
        let gate = Gate()
        try await bed.deploy(function(1, ["gate", gate.path], concurrency: 2))
        async let one = bed.invoke(1, "x")
        async let two = bed.invoke(1, "y")
        try await bed.until("both run") { bed.shard.instances().contains { $0.inFlight == 2 } }
        denied.add(Denial("ptrace"))
        gate.open()
        _ = await (one, two)
        let line = try #require(await self.lines(bed).first)
        #expect(String(decoding: line.text, as: UTF8.self) == "denied ptrace x1 (while 2 invocations ran)")
        #expect(line.invocation == nil)
        #expect(await self.denials(bed).allSatisfy { $0.isEmpty })
        await bed.close()
    }

    @Test func whatIsDeniedBetweenInvocationsIsNobodys() async throws {
        let denied = Denied()
        let bed = try await Bed(denied: denied)
        try await bed.deploy(function(1))
        #expect(await bed.invoke(1, "x").text == "x")
        denied.add(Denial("execve"))
        #expect(await bed.invoke(1, "y").text == "y")
        #expect(await self.texts(bed) == ["denied execve x1 (between invocations)"])
        #expect(await self.denials(bed).allSatisfy { $0.isEmpty })
        await bed.close()
    }

    @Test func linesAndCountsAreBounded() async throws {
        let denied = Denied()
        let bed = try await Bed(denied: denied)
        try await bed.deploy(function(1))
        #expect(await bed.invoke(1, "x").text == "x")
        let (lines, kinds) = (Limits.Host.denialLines, Limits.Host.denialsPerFunction)
        for number in 0..<kinds + 6 { denied.add(Denial("call\(number)")) }
        denied.spend()
        #expect(await bed.invoke(1, "y").text == "y")
        let texts = await self.texts(bed)
        #expect(texts.count == lines + 2)
        #expect(texts.dropFirst(lines).first == "denied \(kinds + 6 - lines) calls more (between invocations)")
        #expect(texts.last?.hasPrefix("denied too many calls to count") == true)
        let counts = try #require(await bed.run { bed.shard.activity().first?.counts.denials })
        #expect(counts.count == kinds + 1 && counts[ActivityCounts.otherCalls] == 6)
        await bed.close()
    }

    @Test func boundsThatAWorkerMetAreToldAtItsEnd() async throws {
        let denied = Denied()
        let bed = try await Bed(denied: denied)
        try await bed.deploy(function(1, ["slow", "60000"], timeout: .milliseconds(200)))
        denied.endForMemory()
        denied.add(Denial("mount"))
        #expect(await bed.invoke(1, "x").code != nil)
        try await bed.until("its end") {
            bed.lines.contains { String(decoding: $0.text, as: UTF8.self).contains("resource:memory") }
        }
        let texts = await self.texts(bed)
        #expect(texts.contains { $0.hasPrefix("denied resource:memory(512 MiB) x1") }, "\(texts)")
        #expect(texts.contains { $0.hasPrefix("denied resource:processes(32) x3") }, "\(texts)")
        #expect(
            texts.filter { $0.hasPrefix("denied mount x1") }.count == 1, "once, while it ran or at its end: \(texts)")
        await bed.close()
    }
}
