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
        private var flow: PartFlow?
        private let takes: Bool
        private let completion: (End) -> Void

        init(takes: Bool, _ completion: @escaping (End) -> Void) {
            self.takes = takes
            self.completion = completion
        }

        var takesParts: PartRule? {
            guard self.takes else { return nil }
            return { head, _ in
                #expect((try? EventBlock.decode(head.bytes)) != nil, "its beginning is a block of its own")
                return true
            }
        }
        func onLarge(_ head: UnsafeRawBufferPointer, bytes: Int, _ flow: PartFlow) {
            #expect((try? EventBlock.decode(head.bytes))?.data == [])
            self.flow = flow
        }
        func onStart(_ block: UnsafeRawBufferPointer) { Issue.record("it was not streamed") }
        func onPart(_ bytes: UnsafeRawBufferPointer) {
            #expect(bytes.count <= Limits.frameBytes)
            self.flow?.took(bytes.count)
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
        try await bed.deploy(function(1, [mode], timeout: .seconds(600)))
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
        var hanging = function(1, ["large-hang"], timeout: .seconds(600))
        hanging.plan.reuse = .never
        try await bed.deploy(hanging)
        let came = Carried(Came())
        let request = await bed.run {
            bed.shard.invoke(
                FunctionID(rawValue: 1), block: EventBlock.encode(event("bad")), invocation: InvocationID(high: 0, low: 0),
                deadline: nil, sink: came.value)
        }
        try await bed.until("half of it") {
            came.value.flow?.took(came.value.untaken)
            came.value.untaken = 0
            return came.value.bytes == 2 << 20
        }
        await bed.run { bed.shard.abandon(request) }
        try await bed.until("its worker is killed") { bed.shard.statistics.workersExited >= 1 }
        #expect(await bed.run { came.value.bytes == 2 << 20 && !came.value.hasEnded })
        #expect(await bed.invoke(1, "fine").text == "fine", "the function goes on")
        await bed.close()
    }

    /// Whoever takes nothing is given no more than the bound and what one turn reads; whoever takes all of it gets all of it.
    @Test func aWorkerIsReadAsFastAsItsResultIsTaken() async throws {
        let bed = try await Bed()
        // On a busy machine it takes its time.
        try await bed.deploy(function(1, ["oversize"], timeout: .seconds(600)))
        try await bed.deploy(function(2))
        let came = Carried(Came())
        let request = await bed.run {
            bed.shard.invoke(
                FunctionID(rawValue: 1), block: EventBlock.encode(event("bad")), invocation: InvocationID(high: 0, low: 0),
                deadline: nil, sink: came.value)
        }
        let most = Limits.Host.partsWaitingBytes + Limits.Host.readBufferBytes
        try await bed.until("it is held") { came.value.flow?.isHeld == true }
        for _ in 0..<20 { #expect(await bed.invoke(2, "fine").text == "fine", "others are read") }
        #expect(await bed.run { came.value.bytes <= most && came.value.bytes > Limits.Host.partsWaitingBytes })
        try await bed.until("all of it", seconds: 300) {
            #expect(came.value.untaken <= most)
            came.value.flow?.took(came.value.untaken)
            came.value.untaken = 0
            return came.value.hasEnded
        }
        #expect(await bed.run { came.value.bytes == 17 << 20 })
        // One that is held when its caller leaves goes on, to hear that it is cancelled.
        let left = Carried(Came())
        let next = await bed.run {
            bed.shard.invoke(
                FunctionID(rawValue: 1), block: EventBlock.encode(event("bad")), invocation: InvocationID(high: 0, low: 0),
                deadline: nil, sink: left.value)
        }
        try await bed.until("it is held") { left.value.flow?.isHeld == true }
        await bed.run {
            bed.shard.abandon(next)
            left.value.flow?.end()
        }
        #expect(await bed.invoke(1, "fine").text == "fine", "the function goes on")
        #expect(await bed.statistics().workersExited == 0)
        await bed.run { bed.shard.abandon(request) }
        await bed.close()
    }

    /// What has come as a whole holds its worker up no longer, however slow the disk is: it does other work, and its answers are read.
    @Test func aWorkerThatSaidAllOfItsResultIsRead() async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1, ["large-brief"], timeout: .seconds(600)))
        let came = Carried(Came())
        _ = await bed.run {
            bed.shard.invoke(
                FunctionID(rawValue: 1), block: EventBlock.encode(event("bad")), invocation: InvocationID(high: 0, low: 0),
                deadline: nil, sink: came.value)
        }
        try await bed.until("all of it") { came.value.hasEnded }
        #expect(await bed.run { came.value.flow?.isHeld == true && came.value.bytes == Limits.Host.partsWaitingBytes + 64 << 10 })
        for _ in 0..<20 { #expect(await bed.invoke(1, "fine").text == "fine") }
        #expect(await bed.statistics().workersExited == 0)
        await bed.run { came.value.flow?.took(came.value.untaken) }
        #expect(await bed.invoke(1, "fine").text == "fine")
        await bed.close()
    }

    private final class Came: ResponseSink {
        var bytes = 0
        var hasEnded = false
        var flow: PartFlow?
        /// What it has not said that it took.
        var untaken = 0

        var takesParts: PartRule? { { _, _ in true } }
        func onLarge(_ head: UnsafeRawBufferPointer, bytes: Int, _ flow: PartFlow) { self.flow = flow }
        func onStart(_ block: UnsafeRawBufferPointer) {}
        func onPart(_ bytes: UnsafeRawBufferPointer) {
            self.bytes += bytes.count
            self.untaken += bytes.count
        }
        func onEnd() { self.hasEnded = true }
        func onResult(_ block: UnsafeRawBufferPointer) { self.hasEnded = true }
        func onFailure(_ failure: Failure) { self.hasEnded = true }
    }

    @Test(arguments: ["liar", "miser"]) func whatWasAnnouncedMustCome(_ mode: String) async throws {
        #expect(try await self.end(of: mode) == .failed(.protocolError))
    }
}
