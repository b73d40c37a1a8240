import ApusCore
import Testing

@testable import ApusEngine

/// What a pool was told and decided, as text and again.
@Suite struct PoolReplayTests {
    private static let instance = InstanceID(rawValue: 77 << 32 | 3)
    private static let plan = PoolFunction(
        function: FunctionID(rawValue: 9), generation: 4, deviceCount: 2, deviceBytes: 60 << 30, kind: 1,
        residueBytes: 5, hostBytes: 6, canSleep: false, concurrency: 7, min: 1, max: 8, weight: 0.1,
        deviceIdle: .seconds(3), hostIdle: nil, wakePrior: .seconds(3), coldPrior: .seconds(47),
        fetch: .seconds(600))

    private static let inputs: [PoolInput] =
        [
            .message(.deploy(plan)), .message(.deploy(PoolBed.plan(2))), .message(.remove(plan.function)),
            .message(.demand(plan.function, running: 2, queued: 3)),
            .message(.occupied(instance, running: 1, uses: 4)), .message(.sleeps(instance, true)),
            .message(.sleeps(instance, false)), .message(.stayed(instance, running: 0)), .message(.ended(instance)),
            .message(.fetches(plan.function, nil)), .message(.fetches(plan.function, .seconds(90))),
            .device(capacity: 80 << 30, kind: 2), .observed(DeviceID(1), used: 5, attributed: 4),
            .quarantined(DeviceID(0), "memory of an instance that is gone"), .quarantined(DeviceID(0), ""),
            .lost(DeviceID(2)), .draining(DeviceID(1)), .cleared(DeviceID(1)), .used(instance, 2),
            .released(instance, 1), .drained(instance), .tick,
        ] + Pool.Report.allCases.map { .message(.report(instance, $0)) }

    @Test(arguments: inputs) func anInputIsReadBackAsItWasWritten(_ input: PoolInput) throws {
        #expect(PoolInput(line: input.line[...]) == input, "\(input.line)")
        #expect(!input.line.contains("\n"))
    }

    @Test(arguments: inputs) func aLineThatLacksAWordOrHasOneMoreIsNoInput(_ input: PoolInput) {
        // A reason may be of any number of words.
        if case .quarantined = input { return }
        #expect(PoolInput(line: "\(input.line) 1"[...]) == nil)
        guard let place = input.line.lastIndex(of: " ") else { return }
        #expect(PoolInput(line: input.line[..<place]) == nil, "\(input.line[..<place])")
    }

    /// A run with two models that take turns, written down.
    private static func recorded() -> String {
        let configuration = PoolConfiguration(hostMemory: 1 << 40)
        var pool = Pool(configuration, policy: .rentOrBuy(RentOrBuy()))
        var text = PoolRecording.head(configuration, KeepAlivePrices())
        var now = Timestamp(microseconds: 1_000_000)
        func told(_ input: PoolInput) -> [PoolAction] {
            pool.receive(input, now: now)
            let actions = pool.takeActions()
            text += PoolRecording.block(input, at: now, actions, pool.takeTransitions())
            return actions
        }
        func settle(_ first: [PoolAction]) {
            var actions = first
            while !actions.isEmpty {
                now = now + .milliseconds(300)
                let reports: [Pool.Report]
                let id: InstanceID
                switch actions.removeFirst() {
                case .fetch(let instance, _): (id, reports) = (instance, [.fetched])
                case .start(let instance, _, _, _): (id, reports) = (instance, [.forked])
                case .load(let instance): (id, reports) = (instance, [.loaded, .warmed])
                case .wake(let instance): (id, reports) = (instance, [.woken])
                case .sleep(let instance): (id, reports) = (instance, [.slept])
                case .stop(let instance): (id, reports) = (instance, [.returned])
                case .drain, .rest: continue
                }
                for report in reports { actions += told(.message(.report(id, report))) }
            }
        }
        settle(told(.device(capacity: 100 << 30, kind: 0)))
        for function in 1...2 as ClosedRange<UInt32> { settle(told(.message(.deploy(PoolBed.plan(function))))) }
        for turn in 0..<20 as Range<UInt32> {
            let function = FunctionID(rawValue: turn % 2 + 1)
            settle(told(.message(.demand(function, running: 0, queued: 1))))
            now = now + .seconds(20)
            settle(told(.message(.demand(function, running: 0, queued: 0))))
            while let due = pool.nextTimer, due <= now { settle(told(.tick)) }
        }
        return text + PoolRecording.end
    }

    @Test func aRecordedRunIsDecidedAgainAsItWas() throws {
        var steps = 0
        let replay = try PoolReplay(Self.recorded()) { _ in steps += 1 }
        #expect(replay.difference == nil && !replay.isCut, "\(replay.difference ?? "")")
        #expect(replay.decisions > 10 && replay.transitions > 20 && replay.inputs == steps)
        #expect(replay.last ?? .zero > replay.first ?? .zero)
    }

    /// Each decision that is changed, left out or made up is found at its line.
    @Test func whatWasDecidedOtherwiseIsFound() throws {
        let text = Self.recorded()
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let decided = lines.indices.filter { lines[$0].hasPrefix("> ") || lines[$0].hasPrefix("= ") }
        for place in stride(from: 0, to: decided.count, by: 7).map({ decided[$0] }) {
            for change in 0..<3 {
                var changed = lines
                switch change {
                case 0: changed[place] += "0"
                case 1: changed.remove(at: place)
                default: changed.insert(changed[place], at: place)
                }
                let replay = try PoolReplay(changed.joined(separator: "\n"))
                #expect(replay.difference?.hasPrefix("line ") ?? false, "line \(place + 1), change \(change)")
            }
        }
    }

    /// A server that is killed leaves the beginning of a recording: all that is whole of it holds.
    @Test func aRecordingThatBreaksOffHoldsAsFarAsItGoes() throws {
        let text = Self.recorded()
        let bytes = Array(text.utf8)
        for length in stride(from: 60, to: bytes.count, by: 997) {
            let replay = try PoolReplay(String(decoding: bytes[..<length], as: UTF8.self))
            #expect(replay.difference == nil && replay.isCut, "\(length) bytes: \(replay.difference ?? "")")
        }
    }

    @Test(arguments: ["", "pool 2 0 1 1 1\n", "pool 1 0 1 1\n", "pool 1 4 1 0.02 68\n5 nonsense\n", "pool 1 4 1 0.02 68\nx tick\n"])
    func whatIsNoRecordingIsRefused(_ text: String) {
        #expect { _ = try PoolReplay(text) } throws: { ($0 as? ApusError)?.code == .invalidArgument }
    }
}
