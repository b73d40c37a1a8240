import ApusCore
@testable import ApusHost
import ApusTestSupport
import Testing

/// The session with a function's zygote, frame by frame.
@Suite struct ForkMachineTests {
    private static let start = Timestamp(microseconds: 1_000_000_000)

    /// A moment before so much time is over.
    private static func before(_ span: TimeSpan) -> Timestamp {
        self.start + TimeSpan(microseconds: span.microseconds - 1)
    }

    private func step(
        _ machine: inout ForkMachine, _ type: FrameType, stream: UInt64 = 0, flags: FrameFlags = [],
        payload: [UInt8] = [], now: Timestamp = start
    ) throws(FrameError) -> ForkMachine.Step {
        let header = FrameHeader(type, flags: flags, stream: stream, length: payload.count)
        return try machine.receive(header, payload.span.bytes, now: now)
    }

    private func hello() -> [UInt8] {
        var bytes: [UInt8] = []
        HelloPayload(lowest: 1, highest: 1, features: .descriptors, runtime: "python").append(to: &bytes)
        return bytes
    }

    private func ended(_ code: Int32, _ signal: Int32) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendLittleEndian(UInt32(bitPattern: code))
        bytes.appendLittleEndian(UInt32(bitPattern: signal))
        return bytes
    }

    private func ready(children: Int = 2) throws -> ForkMachine {
        var machine = ForkMachine(children: children, now: Self.start)
        machine.launched()
        #expect(try self.step(&machine, .hello, payload: self.hello()) == .initialize)
        #expect(try self.step(&machine, .ready) == .ready)
        return machine
    }

    @Test func aCallIsMadeRunsAndEnds() throws {
        var machine = try self.ready()
        #expect(machine.fork(now: Self.start) == 1)
        #expect(try self.step(&machine, .forked, stream: 1) == .forked(1))
        let isToldToEnd = machine.kill(1, now: Self.start)
        #expect(isToldToEnd)
        let exit = WorkerExit(code: nil, signal: 9)
        #expect(
            try self.step(&machine, .ended, stream: 1, payload: self.ended(-1, 9)) == .ended(1, exit, wasMade: true))
        let isToldAgain = machine.kill(1, now: Self.start)
        #expect(!isToldAgain)
        #expect(machine.isEmpty)
    }

    @Test func noMoreCallsThanItsBound() throws {
        var machine = try self.ready(children: 2)
        #expect(machine.fork(now: Self.start) == 1)
        #expect(machine.fork(now: Self.start) == 2)
        #expect(machine.fork(now: Self.start) == nil)
        #expect(!machine.mayFork)
        _ = try self.step(&machine, .ended, stream: 2, payload: self.ended(-1, 0))
        #expect(machine.fork(now: Self.start) == 3)
    }

    @Test func aCallThatCouldNotBeMadeIsToldFromOneThatEnded() throws {
        var machine = try self.ready()
        _ = machine.fork(now: Self.start)
        let step = try self.step(&machine, .ended, stream: 1, payload: self.ended(-1, 0))
        #expect(step == .ended(1, WorkerExit(code: -1, signal: nil), wasMade: false))
    }

    @Test func whatItWasNotAskedForIsAViolation() throws {
        var machine = try self.ready()
        #expect(throws: FrameError.unexpected(.forked)) { try self.step(&machine, .forked, stream: 1) }
        _ = machine.fork(now: Self.start)
        #expect(throws: FrameError.unexpected(.forked)) { try self.step(&machine, .forked, stream: 2) }
        _ = try self.step(&machine, .forked, stream: 1)
        #expect(throws: FrameError.unexpected(.forked)) { try self.step(&machine, .forked, stream: 1) }
        #expect(throws: FrameError.unexpected(.ended)) {
            try self.step(&machine, .ended, stream: 7, payload: self.ended(0, 0))
        }
        _ = try self.step(&machine, .ended, stream: 1, payload: self.ended(0, 0))
        #expect(throws: FrameError.unexpected(.ended)) {
            try self.step(&machine, .ended, stream: 1, payload: self.ended(0, 0))
        }
        for type in [FrameType.hello, .ready, .credit, .result, .data, .emit, .bye, .fork, .kill, .error, .log] {
            #expect(throws: FrameError.unexpected(type)) { try self.step(&machine, type) }
        }
        #expect(throws: FrameError.malformed) { try self.step(&machine, .forked, stream: 1, flags: .more) }
    }

    @Test func anEndThatMakesNoSenseIsAViolation() throws {
        for payload in [
            [], self.ended(0, 0) + [0], self.ended(-2, 0), self.ended(256, 0), self.ended(0, 65), self.ended(0, -1),
        ] {
            var machine = try self.ready()
            _ = machine.fork(now: Self.start)
            #expect(throws: FrameError.malformed) { try self.step(&machine, .ended, stream: 1, payload: payload) }
        }
    }

    @Test func whatItOwesHasABound() throws {
        var machine = ForkMachine(children: 1, now: Self.start)
        machine.launched()
        #expect(!machine.isOverdue(now: Self.before(Limits.Host.zygoteStart)))
        #expect(machine.isOverdue(now: Self.start + Limits.Host.zygoteStart))
        machine = try self.ready()
        #expect(!machine.isOverdue(now: Self.start + Limits.Host.zygoteStart))
        _ = machine.fork(now: Self.start)
        #expect(!machine.isOverdue(now: Self.before(Limits.Host.zygoteAnswer)))
        #expect(machine.isOverdue(now: Self.start + Limits.Host.zygoteAnswer))
        _ = try self.step(&machine, .forked, stream: 1)
        #expect(!machine.isOverdue(now: Self.start + Limits.Host.zygoteAnswer))
        _ = machine.kill(1, now: Self.start)
        #expect(machine.isOverdue(now: Self.start + Limits.Host.zygoteAnswer))
    }

    @Test func itIsReplacedByCountAndByAge() throws {
        var machine = try self.ready(children: 1)
        #expect(!machine.isSpent(now: Self.before(Limits.Host.zygoteAge)))
        #expect(machine.isSpent(now: Self.start + Limits.Host.zygoteAge))
        for number in 1...Limits.Host.zygoteForks {
            #expect(!machine.isSpent(now: Self.start))
            #expect(machine.fork(now: Self.start) == number)
            _ = try self.step(&machine, .ended, stream: number, payload: self.ended(0, 0))
        }
        #expect(machine.isSpent(now: Self.start))
    }

    @Test func oneThatRetiresMakesNoMoreButItsCallsEnd() throws {
        var machine = try self.ready()
        _ = machine.fork(now: Self.start)
        machine.retire()
        #expect(machine.fork(now: Self.start) == nil)
        #expect(try self.step(&machine, .forked, stream: 1) == .forked(1))
        let isToldToEnd = machine.kill(1, now: Self.start)
        #expect(isToldToEnd)
        _ = try self.step(&machine, .ended, stream: 1, payload: self.ended(-1, 9))
        #expect(machine.isEmpty)
    }

    @Test func noFrameOfAHostileOneBreaksIt() {
        var generator = ApusTestSupport.SeededGenerator(seed: 20_261_122)
        var refused = 0
        for _ in 0..<20_000 {
            var machine = ForkMachine(children: 3, now: Self.start)
            machine.launched()
            do throws(FrameError) {
                for _ in 0..<8 {
                    _ = machine.fork(now: Self.start)
                    let type = FrameType.allCases.randomElement(using: &generator) ?? .hello
                    let isSensible = Bool.random(using: &generator)
                    let payload: [UInt8] =
                        switch type {
                        case .hello where isSensible: self.hello()
                        case .ended where isSensible: self.ended(0, 9)
                        case .ready, .forked: isSensible ? [] : [1]
                        default:
                            (0..<Int.random(in: 0...24, using: &generator)).map { _ in
                                UInt8.random(in: 0...255, using: &generator)
                            }
                        }
                    let isSession = type == .hello || type == .ready
                    let stream = isSession ? 0 : UInt64.random(in: 0...4, using: &generator)
                    _ = try self.step(&machine, type, stream: stream, payload: payload)
                    #expect(machine.count <= 3)
                }
            } catch { refused += 1 }
        }
        #expect(refused > 10_000)
    }
}
