import ApusCore
import ApusEngine
import Testing

@testable import ApusFleet

/// What a recorded run says of a machine, and a simulation that is made with it.
@Suite struct CalibrationTests {
    private static func model(_ place: Int) -> FleetModel {
        let step = Int64(place + 1)
        return FleetModel(
            plan: PoolFunction(
                function: FunctionID(rawValue: UInt32(place)), deviceBytes: (6 + step) << 30, hostBytes: 8 << 30,
                deviceIdle: .seconds(5 * step), hostIdle: .seconds(60), wakePrior: .seconds(1), coldPrior: .seconds(3)),
            times: StartTimes(
                fork: .milliseconds(10 * step), load: .milliseconds(1_700 * step), wake: .milliseconds(400 * step),
                sleep: .milliseconds(150 * step), stop: .milliseconds(80 * step)))
    }

    private static func run(_ models: [FleetModel], seed: UInt64) -> FleetSimulation {
        var trace = TraceGenerator()
        trace.functions = models.count
        trace.zipf = 0.3
        trace.pattern = .poisson
        trace.seed = seed
        trace.length = .seconds(1_800)
        trace.requestsPerSecond = 0.2
        trace.serviceMean = .milliseconds(300)
        var fleet = FleetSimulation.Fleet()
        fleet.devices = 2
        fleet.deviceBytes = 20 << 30
        fleet.models = models
        var simulation = FleetSimulation(
            fleet, arrivals: trace.arrivals(), functions: models.count, policy: .rentOrBuy(RentOrBuy()), isChecked: true,
            isRecorded: true)
        let fault = simulation.run()
        #expect(fault == nil, "\(fault ?? "")")
        return simulation
    }

    /// From a run of one trace alone, what another takes is foretold to the microsecond where nothing is left to chance.
    @Test func whatIsMeasuredInOneRunForetellsAnother() throws {
        let models = (0..<4).map(Self.model)
        let measured = try FleetCalibration(try #require(Self.run(models, seed: 1).recording))
        #expect(measured.replay.difference == nil, "\(measured.replay.difference ?? "")")
        for step in FleetCalibration.Step.allCases { #expect(measured.count(step) > 10, "\(step)") }
        let calibrated = try models.map { model in
            FleetModel(plan: model.plan, times: try #require(measured.times(of: model.plan.function)))
        }
        for (model, found) in zip(models, calibrated) { #expect(found.times == model.times) }
        let (real, foretold) = (Self.run(models, seed: 2), Self.run(calibrated, seed: 2))
        let beginnings = try #require(real.beginnings)
        #expect(beginnings == foretold.beginnings && beginnings.allSatisfy { $0 != nil })
        #expect(Set(beginnings.compactMap { $0?.from }) == [.device, .host, .disk])
        #expect(real.recording == foretold.recording)
    }

    /// Of a function that was seen too seldom, what its bytes take is drawn through what others took, and one slow start of another
    /// does not bend that.
    @Test func whatWasSeenSeldomIsReckonedFromItsBytes() throws {
        let sizes: [Int64] = [4, 7, 8, 16, 9]
        var text = PoolRecording.head(PoolConfiguration(hostMemory: 1 << 40), KeepAlivePrices())
        var pool = Pool(PoolConfiguration(hostMemory: 1 << 40), policy: .rentOrBuy(RentOrBuy()))
        var now = Timestamp.zero
        func tell(_ input: PoolInput) -> [PoolAction] {
            pool.receive(input, now: now)
            let actions = pool.takeActions()
            text += PoolRecording.block(input, at: now, actions, pool.takeTransitions())
            return actions
        }
        _ = tell(.device(capacity: 80 << 30, kind: 0))
        for (place, size) in sizes.enumerated() {
            let function = FunctionID(rawValue: UInt32(place))
            let plan = PoolFunction(
                function: function, deviceBytes: size << 30, hostBytes: 1, wakePrior: .seconds(1), coldPrior: .seconds(1))
            _ = tell(.message(.deploy(plan)))
            // The last was never started.
            guard place < 4, case .start(let instance, _, _, _)? = tell(.message(.demand(function, running: 0, queued: 1))).first
            else { continue }
            _ = tell(.message(.report(instance, .forked)))
            now = now + .milliseconds(200 + 500 * size + (place == 1 ? 40_000 : 0))
            _ = tell(.message(.report(instance, .loaded)))
            _ = tell(.message(.report(instance, .warmed)))
        }
        let measured = try FleetCalibration(text + PoolRecording.end)
        #expect(measured.count(.load) == 4)
        let found = try #require(measured.span(.load, FunctionID(rawValue: 4)))
        #expect(abs(found.microseconds - 4_700_000) < 10_000, "\(found)")
        #expect(measured.span(.wake, FunctionID(rawValue: 4)) == nil, "nobody woke")
    }

    /// A step that no run showed is not made up.
    @Test func whatWasNotSeenIsNotKnown() throws {
        let configuration = PoolConfiguration(hostMemory: 1)
        let head = PoolRecording.head(configuration, KeepAlivePrices())
        let nothing = try FleetCalibration(head + PoolRecording.end)
        #expect(nothing.times(of: FunctionID(rawValue: 0)) == nil && nothing.plans.isEmpty)
    }
}
