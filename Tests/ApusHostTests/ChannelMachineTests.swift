import ApusCore
@testable import ApusHost
import Testing

/// Traces of the session's machine: which frame may come when, and what it asks for.
@Suite struct ChannelMachineTests {
    private func hello(lowest: UInt16 = 1, highest: UInt16 = 1) -> [UInt8] {
        var bytes: [UInt8] = []
        HelloPayload(lowest: lowest, highest: highest, features: [.descriptors, .sleep], runtime: "test 1").append(
            to: &bytes)
        return bytes
    }

    private func credit(_ count: UInt32) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendLittleEndian(count)
        return bytes
    }

    private func step(
        _ machine: inout ChannelMachine, _ type: FrameType, flags: FrameFlags = [], stream: UInt64 = 0,
        payload: [UInt8] = [],
        inFlight: Int = 0
    ) throws -> ChannelMachine.Step {
        try machine.receive(FrameHeader(type, flags: flags, stream: stream), payload.span.bytes, inFlight: inFlight)
    }

    private func ready(concurrency: Int = 2) throws -> ChannelMachine {
        var machine = ChannelMachine(concurrency: concurrency)
        machine.launched()
        _ = try self.step(&machine, .hello, payload: self.hello())
        _ = try self.step(&machine, .ready)
        return machine
    }

    @Test func aSessionGoesFromHelloToBye() throws {
        var machine = ChannelMachine(concurrency: 2)
        #expect(machine.state == .launching)
        machine.launched()
        #expect(machine.state == .greeting)
        #expect(try self.step(&machine, .hello, payload: self.hello()) == .initialize)
        #expect(machine.state == .loading)
        #expect(machine.runtime == "test 1")
        #expect(machine.features.contains(.descriptors))
        #expect(try self.step(&machine, .ready) == .ready(canSleep: false))
        #expect(try self.step(&machine, .credit, payload: self.credit(2)) == .credit(2))
        #expect(try self.step(&machine, .result, stream: 7, inFlight: 1) == .work)
        do {
            let value = machine.drain()
            #expect(value)
        }
        #expect(machine.state == .draining)
        #expect(try self.step(&machine, .result, stream: 8, inFlight: 1) == .work)
        #expect(try self.step(&machine, .bye) == .left)
        #expect(machine.state == .left)
        #expect(throws: FrameError.unexpected(.result)) { try self.step(&machine, .result, stream: 9) }
    }

    @Test func onlyHelloMayComeFirst() {
        for type in FrameType.allCases where type != .hello {
            var machine = ChannelMachine(concurrency: 1)
            machine.launched()
            #expect(throws: FrameError.self) { try self.step(&machine, type, stream: type.rawValue >= 16 ? 1 : 0) }
        }
    }

    @Test func nothingMayComeBeforeTheProcessRunsOrAfterItsEnd() {
        for type in FrameType.allCases {
            var launching = ChannelMachine(concurrency: 1)
            #expect(throws: FrameError.self) { try self.step(&launching, type, payload: self.hello()) }
            var dead = ChannelMachine(concurrency: 1)
            dead.died()
            #expect(throws: FrameError.self) { try self.step(&dead, type, payload: self.hello()) }
        }
    }

    @Test func framesOfTheServerAreRefusedFromAWorker() throws {
        for type: FrameType in [.initialize, .drain, .invoke, .batch, .cancel, .callResult, .input] {
            var machine = try self.ready()
            #expect(throws: FrameError.unexpected(type)) { try self.step(&machine, type) }
            #expect(throws: FrameError.unexpected(type)) { try self.step(&machine, type, stream: 1) }
        }
    }

    @Test func versionsOutsideTheWindowAreRefused() {
        var newer = ChannelMachine(concurrency: 1)
        newer.launched()
        #expect(throws: FrameError.wrongVersion(3)) {
            try self.step(&newer, .hello, payload: self.hello(lowest: 2, highest: 3))
        }
        var wide = ChannelMachine(concurrency: 1)
        wide.launched()
        #expect(throws: Never.self) { try self.step(&wide, .hello, payload: self.hello(lowest: 0, highest: 9)) }
    }

    @Test func creditStaysWithinTheConcurrency() throws {
        var machine = try self.ready(concurrency: 3)
        #expect(try self.step(&machine, .credit, payload: self.credit(2)) == .credit(2))
        #expect(try self.step(&machine, .credit, payload: self.credit(1)) == .credit(1))
        #expect(throws: FrameError.unexpected(.credit)) { try self.step(&machine, .credit, payload: self.credit(1)) }
        var greedy = try self.ready(concurrency: 3)
        #expect(throws: FrameError.unexpected(.credit)) { try self.step(&greedy, .credit, payload: self.credit(4)) }
        var none = try self.ready(concurrency: 3)
        #expect(throws: FrameError.unexpected(.credit)) { try self.step(&none, .credit, payload: self.credit(0)) }
        var short = try self.ready(concurrency: 3)
        #expect(throws: FrameError.malformed) { try self.step(&short, .credit, payload: [1]) }
    }

    @Test func eachFlagStandsOnItsFramesOnly() throws {
        var machine = try self.ready()
        #expect(throws: FrameError.malformed) { try self.step(&machine, .result, flags: .table, stream: 1) }
        #expect(throws: FrameError.malformed) { try self.step(&machine, .result, flags: .failed, stream: 1) }
        #expect(throws: FrameError.malformed) { try self.step(&machine, .data, flags: .stream, stream: 1) }
        #expect(throws: FrameError.malformed) {
            try self.step(&machine, .credit, flags: .more, payload: self.credit(1))
        }
        #expect(try self.step(&machine, .result, flags: [.more, .stream], stream: 1) == .work)
        #expect(try self.step(&machine, .itemResult, flags: [.failed], stream: 1) == .work)
    }

    @Test func workNeedsAStreamAndTheSessionNone() throws {
        var machine = try self.ready()
        #expect(throws: FrameError.unexpected(.result)) { try self.step(&machine, .result) }
        #expect(throws: FrameError.unexpected(.credit)) {
            try self.step(&machine, .credit, stream: 4, payload: self.credit(1))
        }
        #expect(try self.step(&machine, .log, payload: [1]) == .work)
        #expect(try self.step(&machine, .log, stream: 4, payload: [1]) == .work)
    }

    @Test func onlyOneAnswerComesToEachPing() throws {
        var machine = try self.ready()
        #expect(throws: FrameError.unexpected(.ping)) { try self.step(&machine, .ping, flags: .answer) }
        var asked = try self.ready()
        let now = Timestamp(microseconds: 5)
        do {
            let value = asked.ping(inFlight: 1, now: now)
            #expect(!value)
        }
        let isAsked = asked.ping(inFlight: 0, now: now)
        #expect(isAsked)
        #expect(asked.pingSentAt == now)
        do {
            let value = asked.ping(inFlight: 0, now: now)
            #expect(!value)
        }
        #expect(try self.step(&asked, .ping, flags: .answer) == .nothing)
        #expect(asked.pingSentAt == nil)
        #expect(throws: FrameError.unexpected(.ping)) { try self.step(&asked, .ping, flags: .answer) }
    }

    @Test func aSleepingWorkerIsWokenBeforeItTakesWork() throws {
        var machine = try self.ready()
        do {
            let value = machine.sleep(inFlight: 1)
            #expect(!value)
        }
        let isAsleep = machine.sleep(inFlight: 0)
        #expect(isAsleep)
        #expect(machine.state == .asleep)
        #expect(machine.takesWork)
        #expect(throws: FrameError.unexpected(.result)) { try self.step(&machine, .result, stream: 1) }
        #expect(try self.step(&machine, .sleep, flags: .answer) == .slept)
        let isWoken = machine.wake()
        #expect(isWoken)
        do {
            let value = machine.wake()
            #expect(!value)
        }
        #expect(try self.step(&machine, .wake, flags: .answer) == .woken)
        #expect(try self.step(&machine, .result, stream: 1, inFlight: 1) == .work)
    }

    @Test func byeWithWorkInFlightIsRefused() throws {
        var machine = try self.ready()
        #expect(throws: FrameError.unexpected(.bye)) { try self.step(&machine, .bye, inFlight: 1) }
    }

    @Test func aFailedLoadIsToldOnceAndNothingElseFollowsButBye() throws {
        var machine = ChannelMachine(concurrency: 1)
        machine.launched()
        _ = try self.step(&machine, .hello, payload: self.hello())
        let error = ErrorPayload(kind: .permanent, code: "start_failed", message: "no module")
        var payload: [UInt8] = []
        error.append(to: &payload)
        #expect(try self.step(&machine, .error, payload: payload) == .loadFailed(error))
        #expect(machine.state == .failed)
        #expect(throws: FrameError.unexpected(.ready)) { try self.step(&machine, .ready) }
        #expect(try self.step(&machine, .bye) == .left)
    }

    @Test func aWorkerIsDrainedOnceAndOnlyWhenItIsReady() throws {
        var machine = ChannelMachine(concurrency: 1)
        do {
            let value = machine.drain()
            #expect(!value)
        }
        machine.launched()
        do {
            let value = machine.drain()
            #expect(!value)
        }
        var ready = try self.ready()
        let isDraining = ready.drain()
        #expect(isDraining)
        do {
            let value = ready.drain()
            #expect(!value)
        }
        #expect(!ready.takesWork)
    }
}
