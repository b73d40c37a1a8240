import ApusCore
import ApusEngine
import ApusHost
import ApusLoop
import ApusTestSupport
import Testing

/// Results that whoever waits takes as they come.
@Suite struct LargeResultTests {
    private enum End: Equatable {
        case whole(bytes: Int, parts: Int)
        case failed(ErrorCode)
    }

    /// Counts what comes, and how much of it at once.
    private final class PartSink: ResponseSink {
        private var bytes = 0
        private var parts = 0
        private let takes: Bool
        private let completion: (End) -> Void

        init(takes: Bool, _ completion: @escaping (End) -> Void) {
            self.takes = takes
            self.completion = completion
        }

        func takesParts(of head: UnsafeRawBufferPointer, bytes: Int) -> Bool {
            #expect((try? EventBlock.decode(head.bytes)) != nil, "its beginning is a block of its own")
            return self.takes
        }
        func onStart(_ block: UnsafeRawBufferPointer) { #expect((try? EventBlock.decode(block.bytes))?.data == []) }
        func onPart(_ bytes: UnsafeRawBufferPointer) {
            #expect(bytes.count <= Limits.frameBytes)
            self.bytes += bytes.count
            self.parts += 1
        }
        func onEnd() { self.completion(.whole(bytes: self.bytes, parts: self.parts)) }
        func onResult(_ block: UnsafeRawBufferPointer) { self.completion(.whole(bytes: block.count, parts: 0)) }
        func onFailure(_ failure: Failure) { self.completion(.failed(failure.code)) }
    }

    private func end(
        of mode: String, _ data: String = "bad", takes: Bool = true, _ check: (Bed) async throws -> Void = { _ in }
    ) async throws -> End {
        let bed = try await Bed()
        try await bed.deploy(function(1, [mode]))
        let end = await withCheckedContinuation { (continuation: CheckedContinuation<End, Never>) in
            bed.loop.post {
                _ = bed.shard.invoke(
                    FunctionID(rawValue: 1), block: EventBlock.encode(event(data)), invocation: InvocationID(high: 0, low: 0),
                    deadline: nil, sink: PartSink(takes: takes) { continuation.resume(returning: $0) })
            }
        }
        try await check(bed)
        #expect(await bed.invoke(1, "fine").text == "fine", "the function goes on")
        await bed.close()
        return end
    }

    @Test func moreThanMemoryHoldsIsTakenInParts() async throws {
        #expect(try await self.end(of: "oversize") == .whole(bytes: 17 << 20, parts: 17 * 16))
    }

    @Test func whoTakesNoPartsIsGivenNoMoreThanEver() async throws {
        #expect(try await self.end(of: "oversize", takes: false) == .failed(.resultTooLarge))
    }

    @Test func overItsBoundItIsRefusedAndTheWorkerLives() async throws {
        let end = try await self.end(of: "enormous") { bed in #expect(await bed.statistics().workersExited == 0) }
        #expect(end == .failed(.resultTooLarge))
    }

    @Test func aWorkerThatDiesInTheMiddleFailsTheResult() async throws {
        #expect(try await self.end(of: "large-crash") == .failed(.workerCrashed))
    }

    /// Nor are they given to whoever waits for another result.
    @Test(arguments: ["large-endless", "large-stranger"]) func partsThatBelongToNothingEndTheirWorker(_ mode: String) async throws {
        #expect(try await self.end(of: mode) == .failed(.protocolError))
    }

    @Test func partsBehindTheEndEndTheWorkerAndNotTheResult() async throws {
        let end = try await self.end(of: "large-late") { bed in
            try await bed.until("its worker is ended") { bed.shard.statistics.protocolErrors == 1 && bed.shard.statistics.workersExited == 1 }
        }
        #expect(end == .whole(bytes: 2 << 20, parts: 32))
    }

    @Test(arguments: Array("abcdefghijk")) func aHeadThatContradictsItselfEndsItsWorker(_ way: Character) async throws {
        #expect(try await self.end(of: "large-head", "bad \(way)") == .failed(.protocolError))
    }

    @Test func whoLeavesInTheMiddleHearsNothingMoreAndTheWorkerIsKilled() async throws {
        let bed = try await Bed()
        var hanging = function(1, ["large-hang"])
        hanging.plan.reuse = .never
        try await bed.deploy(hanging)
        let came = Carried(Came())
        let request = await bed.run {
            bed.shard.invoke(
                FunctionID(rawValue: 1), block: EventBlock.encode(event("bad")), invocation: InvocationID(high: 0, low: 0),
                deadline: nil, sink: came.value)
        }
        try await bed.until("half of it") { came.value.bytes == 2 << 20 }
        await bed.run { bed.shard.abandon(request) }
        try await bed.until("its worker is killed") { bed.shard.statistics.workersExited >= 1 }
        #expect(await bed.run { came.value.bytes == 2 << 20 && !came.value.hasEnded })
        #expect(await bed.invoke(1, "fine").text == "fine", "the function goes on")
        await bed.close()
    }

    private final class Came: ResponseSink {
        var bytes = 0
        var hasEnded = false

        func takesParts(of head: UnsafeRawBufferPointer, bytes: Int) -> Bool { true }
        func onStart(_ block: UnsafeRawBufferPointer) {}
        func onPart(_ bytes: UnsafeRawBufferPointer) { self.bytes += bytes.count }
        func onEnd() { self.hasEnded = true }
        func onResult(_ block: UnsafeRawBufferPointer) { self.hasEnded = true }
        func onFailure(_ failure: Failure) { self.hasEnded = true }
    }

    @Test(arguments: ["liar", "miser"]) func whatWasAnnouncedMustCome(_ mode: String) async throws {
        #expect(try await self.end(of: mode) == .failed(.protocolError))
    }
}
