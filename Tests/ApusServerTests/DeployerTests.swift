import ApusCore
import ApusLoop
import ApusManifest
import ApusStore
import ApusTelemetry
import ApusTestSupport
import Glibc
import Synchronization
import Testing

@testable import ApusServer

@Suite struct DeployerTests {
    /// Builds nothing: a call waits until it is abandoned.
    private final class StuckLayers: LayerBuilding {
        private let waiting = Mutex<(calls: [ResultSlot<Bool>], isAbandoned: Bool)>(([], false))
        let entered = ResultSlot<Bool>()

        func layer(
            for function: FunctionManifest, _ dependencies: FunctionManifest.Dependencies, bundle: String,
            progress: (String) -> Void
        ) throws(ApusError) -> String {
            let slot = ResultSlot<Bool>()
            let (isFirst, isAbandoned) = self.waiting.withLock { state in
                state.calls.append(slot)
                return (state.calls.count == 1, state.isAbandoned)
            }
            if isFirst { self.entered.fill(true) }
            if !isAbandoned { _ = slot.take() }
            throw ApusError(.shuttingDown, "abandoned")
        }

        func build(
            _ key: String, for function: FunctionManifest, _ dependencies: FunctionManifest.Dependencies,
            bundle: String, progress: (String) -> Void
        ) throws(ApusError) {
            _ = try self.layer(for: function, dependencies, bundle: bundle, progress: progress)
        }

        func abandon() {
            let calls = self.waiting.withLock { state in
                state.isAbandoned = true
                return state.calls
            }
            for call in calls { call.fill(true) }
        }

        func stop() {}

        var calls: Int { self.waiting.withLock { $0.calls.count } }
    }

    /// Remembers what it was asked for and lets the test answer.
    private final class Starts: Sendable {
        private let asked = Mutex<[(name: String, completion: @Sendable (ApusError?) -> Void)]>([])
        let both = ResultSlot<Bool>()
        let passed = Mutex<[RecordPlace]>([])

        func probe(_ name: ResourceName, _ completion: @escaping @Sendable (ApusError?) -> Void) {
            let count = self.asked.withLock { asked in
                asked.append((name.name, completion))
                return asked.count
            }
            if count == 2 { self.both.fill(true) }
        }

        func answer(_ name: String, _ error: ApusError?) {
            let completion = self.asked.withLock { $0.first { $0.name == name }?.completion }
            completion?(error)
        }
    }

    private final class Case: Sendable {
        let log = HeldLog()
        let control: Control
        let layers = StuckLayers()
        let starts = Starts()
        let deployer: Deployer
        let folder = ScratchDirectory("deployer")
        let bundle = String(repeating: "a", count: 64)

        init(missingLayers: [String] = []) throws {
            try self.log.createTopic(.control, TopicConfiguration(partitions: 1, isCompacted: true))
            self.control = Control(
                log: self.log, journal: Log(), fateOf: { _, _ throws(ApusError) in nil }
            ) { _, _ in nil }
            let bundles = try BundleStore(folder: "\(self.folder.path)/bundles")
            #expect(mkdir("\(self.folder.path)/bundles/\(self.bundle)", 0o700) == 0)
            let starts = self.starts
            self.deployer = Deployer(
                bundles: bundles, layers: self.layers, control: self.control,
                hooks: Deployer.Hooks(
                    probe: { starts.probe($0, $1) },
                    whenPassed: { place, completion in
                        starts.passed.withLock { $0.append(place) }
                        completion(nil)
                    },
                    missingLayers: missingLayers
                )
            )
        }

        func deploy(
            _ names: [String], dependencies: Bool = false, waits: Bool = false, isolation: String = "standard"
        ) throws -> ResultSlot<
            Result<Control.Done, ApusError>
        > {
            let yaml = names.map { name in
                """
                ---
                apiVersion: apus.dev/v1
                kind: Function
                metadata: {name: \(name)}
                spec:
                  runtime: python3
                  handler: main:handle
                  source: .
                  sandbox: {isolation: \(isolation)}
                \(dependencies ? "  dependencies: requirements.txt" : "")

                """
            }.joined()
            let documents = try Manifest.parse(yaml, file: "t.yaml").map {
                DeployRequest.Document(manifest: $0, bundle: self.bundle)
            }
            var request = DeployRequest(documents: documents)
            request.waits = waits
            let slot = ResultSlot<Result<Control.Done, ApusError>>()
            self.deployer.deploy(Deployer.Order(request: request, ifMatch: nil)) { report in
                switch report {
                case .progress: break
                case .done(let done): slot.fill(.success(done))
                case .failed(let error): slot.fill(.failure(error))
                }
            }
            return slot
        }
    }

    private static func code(_ slot: ResultSlot<Result<Control.Done, ApusError>>) -> ErrorCode? {
        if case .failure(let error) = slot.take() { error.code } else { nil }
    }

    @Test func itsEndAnswersTheBuildUnderWayAndWhatWaits() throws {
        let test = try Case()
        let building = try test.deploy(["one"], dependencies: true)
        _ = test.layers.entered.take()
        let waiting = try (0..<3).map { _ in try test.deploy(["two"], dependencies: true) }
        test.deployer.stop()
        #expect(Self.code(building) == .shuttingDown)
        for slot in waiting { #expect(Self.code(slot) == .shuttingDown) }
        #expect(test.layers.calls == 1, "what waits begins no build")
        #expect(Self.code(try test.deploy(["three"])) == .shuttingDown)
        #expect(test.control.catalogue.functions.isEmpty)
        test.control.stop()
    }

    @Test func aFunctionThatDemandsEveryLayerIsRefusedWhereOneIsMissing() throws {
        let weak = try Case(missingLayers: ["cpu-limit", "swap-limit"])
        guard case .failure(let error) = try weak.deploy(["f"], isolation: "hostile").take() else {
            Issue.record("it was deployed")
            return
        }
        #expect(error.code == .sandboxUnavailable && error.message.contains("cpu-limit, swap-limit"))
        #expect(Self.code(try weak.deploy(["f"])) == nil, "others may do without")
        let whole = try Case()
        #expect(Self.code(try whole.deploy(["f"], isolation: "hostile")) == nil)
    }

    @Test func startsAllFunctionsAtOnceWhenItWaitsForThem() throws {
        let test = try Case()
        let slot = try test.deploy(["one", "two"], waits: true)
        // Neither was answered, and both were asked for.
        _ = test.starts.both.take()
        test.starts.answer("two", nil)
        test.starts.answer("one", nil)
        #expect(Self.code(slot) == nil)
        test.deployer.stop()
        test.control.stop()
    }

    @Test func failsWhenOneOfItsFunctionsDoesNotStart() throws {
        let test = try Case()
        let slot = try test.deploy(["one", "two"], waits: true)
        _ = test.starts.both.take()
        test.starts.answer("one", nil)
        test.starts.answer("two", ApusError(.startFailed, "no"))
        #expect(Self.code(slot) == .startFailed)
        test.deployer.stop()
        test.control.stop()
    }

    @Test func answersOnceQueriesShowWhatItWrote() throws {
        let test = try Case()
        let done = try test.deploy(["one", "two"]).take().get()
        let last = RecordPlace(TopicPartition(.control, 0), 1)
        #expect(done.position == last)
        #expect(test.starts.passed.withLock { $0 } == [last])
        test.deployer.stop()
        test.control.stop()
    }
}
