import ApusCore
import ApusEngine
import ApusHost
import ApusLoop
import ApusTelemetry
import ApusTestSupport
import Glibc
import Synchronization
import Testing

/// One shard on its own loop, with a log in memory and workers that are plain `echo-native` processes.
final class Bed: @unchecked Sendable {
    // SAFETY: everything that is not immutable is touched on the loop's thread only, through `run` and `until`.
    let loop = EventLoop()
    let log: any EventLog
    private(set) var shard: Shard!
    private(set) var lines: [LogLine] = []
    private(set) var startFailures: [Failure] = []
    private(set) var replaysEnded: [UInt64] = []

    init(
        log: (any EventLog)? = nil, engine: EngineConfiguration = EngineConfiguration(), seed: UInt64 = 7,
        readAhead: ((@escaping @Sendable () -> Void) -> Bool)? = nil, tracer: Tracer? = nil, denied: Denied? = nil,
        blobs: (any BlobKeeping)? = nil, approvals: KnownApprovals? = nil,
        classWait: TimeSpan = .milliseconds(Limits.Host.classWaitMilliseconds),
        classDrain: TimeSpan = .milliseconds(Limits.Host.classDrainMilliseconds),
        command: @escaping DirectLauncher.Command = { (Bed.worker, $0.arguments) }
    ) async throws {
        // As the server does: a worker may end while it is written to.
        signal(SIGPIPE, SIG_IGN)
        let command = Carried(command)
        let readAhead = Carried(readAhead)
        let clock = SystemClock()
        self.log = log ?? MemoryLog { clock.now }
        Bed.open.withLock { $0.append(self) }
        await self.run {
            let direct = DirectLauncher(loop: self.loop, command: command.value)
            let launcher: any WorkerLauncher = denied.map { AuditedLauncher(direct, $0) } ?? direct
            var configuration = ShardConfiguration(
                engine: engine, seed: seed, readAhead: readAhead.value,
                logSink: { [unowned self] in self.lines.append($0) }, tracer: tracer,
                onStartFailed: { [unowned self] _, failure in self.startFailures.append(failure) })
            configuration.onReplayComplete = { [unowned self] _, number in self.replaysEnded.append(number) }
            configuration.blobs = blobs
            configuration.classWait = classWait
            configuration.classDrain = classDrain
            if let approvals {
                configuration.refusalOfApproval = { approvals.refusal(of: $0) }
                configuration.approval = { approvals.state($0) }
                configuration.onApprovalUsed = { approvals.used($0) }
            }
            self.shard = Shard(loop: self.loop, log: self.log, launcher: launcher, configuration: configuration)
        }
    }

    /// Ends workers and loop.
    func close(within bound: TimeSpan = .seconds(5)) async {
        await withCheckedContinuation { continuation in
            self.loop.post {
                self.shard.drain(until: self.shard.now + bound) { continuation.resume() }
            }
        }
        self.loop.stop()
        Bed.open.withLock { $0.removeAll { $0 === self } }
    }

    /// A test that fails in the middle leaves its loop running: what the loop calls must stay.
    private static let open = Mutex<[Bed]>([])

    static let clock = SystemClock()

    /// The worker's binary, beside this test's own.
    static let worker: String = {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let path = String(decoding: buffer[..<max(count, 0)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let beside =
            path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
            + "/echo-native"
        if access(beside, X_OK) == 0 { return beside }
        let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
        #if DEBUG
            return root + "/.build/debug/echo-native"
        #else
            return root + "/.build/release/echo-native"
        #endif
    }()

    // MARK: the loop

    func run<Value: Sendable>(_ body: @escaping () -> Value) async -> Value {
        let body = Carried(body)
        return await withCheckedContinuation { continuation in
            self.loop.post { continuation.resume(returning: body.value()) }
        }
    }

    /// Waits until a condition holds, asked on the loop; fails the test when it does not within the bound.
    func until(
        _ what: String, seconds: Int64 = 30, _ condition: @escaping () -> Bool,
        location: SourceLocation = #_sourceLocation
    ) async throws {
        let condition = Carried(condition)
        let isMet = await withCheckedContinuation { continuation in
            self.loop.post {
                let deadline = self.shard.now + .seconds(seconds)
                let timer = Carried(LoopHolder())
                timer.value.timer = LoopTimer(self.loop) {
                    let isMet = condition.value()
                    guard isMet || self.shard.now > deadline else { return }
                    timer.value.timer?.close()
                    timer.value.timer = nil
                    continuation.resume(returning: isMet)
                }
                timer.value.timer?.start(milliseconds: 0, repeating: 1)
            }
        }
        try #require(isMet, "not within \(seconds) s: \(what)", sourceLocation: location)
    }

    // MARK: what tests do

    func topic(_ name: String, partitions: Int = 1, compact: Bool = false) throws -> TopicName {
        let topic = try #require(TopicName(onLog: name))
        if self.log.topic(topic) == nil {
            try self.log.createTopic(topic, TopicConfiguration(partitions: partitions, isCompacted: compact))
        }
        return topic
    }

    func publish(_ topic: TopicName, _ events: [Event], partition: Int? = nil) async throws {
        let appends = events.map { LogBatch.Append(topic: topic, partition: partition, block: EventBlock.encode($0)) }
        let result = await withCheckedContinuation { continuation in
            self.log.submit(LogBatch(urgency: .producer, appends: appends)) { continuation.resume(returning: $0) }
        }
        _ = try result.get()
    }

    func events(of topic: TopicName, partition: Int = 0) -> [Event] {
        var events: [Event] = []
        do {
            _ = try self.log.read(TopicPartition(topic, partition), from: 0, maxRecords: .max, maxBytes: .max) {
                _, block in
                if let event = try? EventBlock.decode(block.bytes) { events.append(event) }
                return true
            }
        } catch {
            Issue.record(error)
        }
        return events
    }

    func deploy(_ function: HostFunction) async throws {
        let failure = await self.run { () -> ApusError? in
            do throws(ApusError) {
                try self.shard.apply(function)
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
    }

    func statistics() async -> ShardStatistics { await self.run { self.shard.statistics } }

    /// Calls a function and waits for its answer.
    func invoke(_ function: UInt32, _ data: String, deadline: TimeSpan? = nil) async -> Answer {
        let block = EventBlock.encode(Event(attributes: [Attribute("id", "call")], data: Array(data.utf8)))
        return await withCheckedContinuation { continuation in
            self.loop.post {
                let sink = AnswerSink { continuation.resume(returning: $0) }
                _ = self.shard.invoke(
                    FunctionID(rawValue: function), block: block, invocation: InvocationID(high: 1, low: 2),
                    deadline: deadline.map { self.shard.now + $0 }, sink: sink)
            }
        }
    }
}

final class LoopHolder { var timer: LoopTimer? }

/// Carries what is not Sendable to the loop's thread.
struct Carried<Value>: @unchecked Sendable {
    // SAFETY: handed over once, then used on the loop's thread only.
    let value: Value
    init(_ value: Value) { self.value = value }
}

/// What a caller heard.
enum Answer: Sendable, Equatable {
    case result(Event)
    case parts([String])
    case failure(Failure)

    var text: String? {
        guard case .result(let event) = self, let data = event.data else { return nil }
        return String(decoding: data, as: UTF8.self)
    }

    var code: ErrorCode? {
        guard case .failure(let failure) = self else { return nil }
        return failure.code
    }
}

final class AnswerSink: ResponseSink {
    private var parts: [String] = []
    private let completion: (Answer) -> Void

    init(_ completion: @escaping (Answer) -> Void) { self.completion = completion }

    func onResult(_ block: UnsafeRawBufferPointer) {
        do throws(FrameError) {
            self.completion(.result(try EventBlock.decode(block.bytes)))
        } catch {
            self.completion(.failure(Failure(.internal, "\(error)")))
        }
    }

    func onStart(_ block: UnsafeRawBufferPointer) {}
    func onPart(_ bytes: UnsafeRawBufferPointer) { self.parts.append(String(decoding: bytes, as: UTF8.self)) }
    func onEnd() { self.completion(.parts(self.parts)) }
    func onFailure(_ failure: Failure) { self.completion(.failure(failure)) }
}

/// A function of `echo-native` in one of its modes.
func function(
    _ id: UInt32, _ mode: [String] = [], generation: UInt64 = 1, timeout: TimeSpan = .seconds(30), concurrency: Int = 1,
    batch: BatchPlan? = nil, scale: ScalePlan = ScalePlan(min: 0, max: 1), triggers: [(HostTrigger, TriggerPlan)] = [],
    emits: [String: TopicName] = [:]
) -> HostFunction {
    let name = ResourceName(.default, "function-\(id)")
    return HostFunction(
        name: name ?? ResourceName(.default, "function").unsafelyUnwrapped, revision: "revision-\(generation)",
        launch: LaunchOrder(runtime: .native, bundle: "", arguments: mode),
        initialization: Array(#"{"function":"function-\#(id)","concurrency":\#(concurrency)}"#.utf8),
        plan: FunctionPlan(
            function: FunctionID(rawValue: id), generation: generation, timeout: timeout, concurrency: concurrency,
            batch: batch,
            scale: scale, triggers: triggers.map(\.1)),
        triggers: triggers.map(\.0), emits: emits)
}

/// A trigger on a topic with the plan that goes with it.
func trigger(
    _ id: UInt32, on topic: TopicName, replyTo: TopicName? = nil, deadLetter: TopicName = .dead,
    kind: TriggerPlan.Kind = .topic,
    order: DeliveryOrder = .key,
    retry: RetryPlan = RetryPlan(attempts: 3, initial: .milliseconds(1), max: .milliseconds(5)),
    onExhausted: OnExhausted = .deadLetter, filter: SubscriptionFilter = SubscriptionFilter(), generation: UInt64 = 1,
    onExpired: OnExpired = .skip, dedupWindow: TimeSpan? = nil
) -> (HostTrigger, TriggerPlan) {
    (
        HostTrigger(
            id: TriggerID(rawValue: id), name: "trigger-\(id)", generation: generation, topic: topic, replyTo: replyTo,
            deadLetter: deadLetter, filter: filter),
        TriggerPlan(
            trigger: TriggerID(rawValue: id), kind: kind, order: order, retry: retry, onExhausted: onExhausted,
            onExpired: onExpired, dedupWindow: dedupWindow, hasOutputs: replyTo != nil)
    )
}

func event(_ data: String, key: String? = nil, _ attributes: [Attribute] = []) -> Event {
    Event(key: key.map { Array($0.utf8) }, attributes: attributes, data: Array(data.utf8))
}

extension Event {
    var text: String { String(decoding: self.data ?? [], as: UTF8.self) }
    func header(_ name: String) -> String? { self.attributes.first { $0.name == name && $0.kind == .header }?.text }
}
