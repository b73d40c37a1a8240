internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusLog
internal import ApusLoop
internal import ApusTestSupport
internal import BenchFloors
internal import Glibc

/// Where ``EndToEndBench`` measures: the log with its topics, and a shard with one function for each measurement.
final class EndToEndSite {
    private let settings: EndToEndBench.Settings
    private let workers: DispatchBenchWorkers
    private let floorProcess: OpaquePointer
    private let directory: String
    private let input: TopicName
    private let output: TopicName
    private let prefix = "bench-\(getpid())."
    /// On Kafka the log that filled the input and will delete the topics.
    private var owner: KafkaLog?
    /// Each measurement is a trigger of its own, with a position of its own.
    private var generation: UInt64 = 0

    init(
        _ settings: EndToEndBench.Settings, _ workers: DispatchBenchWorkers, _ floor: OpaquePointer, directory: String
    ) throws {
        guard let input = TopicName(onLog: "input"), let output = TopicName(onLog: "output") else {
            throw BenchFailure("no topics")
        }
        self.settings = settings
        self.workers = workers
        self.floorProcess = floor
        self.directory = directory
        self.input = input
        self.output = output
        guard settings.kafka != nil else { return }
        let owner = try self.openKafka()
        self.owner = owner
        for topic in [input, output] {
            try owner.createTopic(topic, TopicConfiguration(partitions: EndToEndBench.partitions))
        }
        try EndToEndBench.fill(owner, input, bytes: settings.bytes, records: settings.records)
    }

    func close() {
        guard self.settings.kafka != nil, let owner = try? self.openKafka() else { return }
        for topic in [self.input, self.output] { try? owner.deleteTopic(topic) }
        owner.close()
    }

    // MARK: logs

    private func openKafka() throws -> KafkaLog {
        // One server of a name at a time.
        self.owner?.close()
        self.owner = nil
        var configuration = KafkaLogConfiguration(bootstrap: self.settings.kafka ?? "")
        configuration.cluster = "bench-\(getpid())"
        configuration.topicPrefix = self.prefix
        configuration.properties = self.settings.properties
        // As every server has it.
        configuration.sharing = KafkaLogConfiguration.Sharing(node: "bench")
        let clock = SystemClock()
        let log = try KafkaLog(configuration) { clock.now }
        let start = seconds()
        while log.sharing?.shares.count(where: { $0.state == .working }) != Share.count {
            guard seconds() - start < 60 else { throw BenchFailure("the shares are not worked") }
            usleep(10_000)
        }
        return log
    }

    private func openEmbedded(_ path: String) throws -> EmbeddedLog {
        var configuration = EmbeddedLogConfiguration()
        configuration.durability = self.settings.durability
        let clock = SystemClock()
        let log = try EmbeddedLog(directory: path, configuration: configuration) { clock.now }
        for topic in [self.input, self.output] {
            try log.createTopic(topic, TopicConfiguration(partitions: EndToEndBench.partitions))
        }
        return log
    }

    /// Runs `body` with a log whose input is filled, or empty.
    private func withLog<Value>(isFilled: Bool, _ body: (any EventLog) throws -> Value) throws -> Value {
        if self.settings.kafka != nil {
            let log = try self.openKafka()
            defer { log.close() }
            return try body(log)
        }
        let scratch = ScratchDirectory("bench-end-to-end", in: self.directory)
        let log = try self.openEmbedded(scratch.path)
        defer { log.close() }
        if isFilled {
            try EndToEndBench.fill(log, self.input, bytes: self.settings.bytes, records: self.settings.records)
        }
        return try body(log)
    }

    // MARK: the floor

    private var record: [UInt8] { EndToEndBench.input(self.input, bytes: self.settings.bytes)[0].appends[0].block }

    /// Events a second.
    func floor() throws -> Double {
        let took: Double
        if let kafka = self.settings.kafka {
            took = kafka_floor_forward(
                kafka, self.prefix + self.input.onLog, self.prefix + self.output.onLog, CInt(EndToEndBench.partitions),
                self.settings.records)
        } else {
            let scratch = ScratchDirectory("bench-end-to-end-floor", in: self.directory)
            took = self.record.withUnsafeBytes {
                flow_floor_run(
                    self.floorProcess, scratch.path + "/floor.mdb", self.settings.durability == .fsync ? 1 : 0,
                    $0.baseAddress, $0.count, self.settings.records, CInt(self.settings.concurrency))
            }
        }
        guard took > 0 else { throw BenchFailure("the floor failed") }
        return Double(self.settings.records) / took
    }

    func floorStarts(_ count: Int) throws -> [Double] {
        let scratch = ScratchDirectory("bench-end-to-end-floor", in: self.directory)
        var times = [Double](repeating: 0, count: count)
        let failure = self.record.withUnsafeBytes {
            flow_floor_starts(
                self.floorProcess, scratch.path + "/floor.mdb", self.settings.durability == .fsync ? 1 : 0,
                $0.baseAddress, $0.count, &times, count)
        }
        guard failure == 0 else { throw BenchFailure("the floor failed") }
        return times
    }

    // MARK: figures

    /// Events a second, and the loop's CPU time for each.
    func rate(_ kind: DispatchBenchWorkers.Kind) throws -> (rate: Double, loopMicroseconds: Double) {
        try self.withLog(isFilled: true) { log in
            let gate = EndToEndLog(log, input: self.input, output: self.output)
            let concurrency = self.settings.batch == nil ? self.settings.concurrency : 2
            let handler = self.settings.batch == nil ? "main:echo_many" : "main:echo_batch"
            let shard = try self.shard(kind, gate, handler: handler, concurrency: concurrency)
            defer { shard.close() }
            // As the floor does.
            if self.settings.kafka == nil { flow_floor_touch(self.record.count, self.settings.records) }
            let before = shard.loopSeconds()
            let start = try gate.open()
            let end = try gate.wait(for: self.settings.records)
            let cpu = shard.loopSeconds() - before
            let count = Double(self.settings.records)
            return (count / (end - start), cpu * 1e6 / count)
        }
    }

    /// Microseconds from before an event's append until its handler starts.
    func starts(_ count: Int) throws -> [Double] {
        try self.withLog(isFilled: false) { log in
            let gate = EndToEndLog(log, input: self.input, output: self.output)
            let shard = try self.shard(.python, gate, handler: "main:stamp", concurrency: 1)
            defer { shard.close() }
            _ = try gate.open()
            let batches = EndToEndBench.input(self.input, bytes: self.settings.bytes).flatMap(\.appends)
            var times: [Double] = []
            for index in 0..<count {
                let batch = LogBatch(urgency: .producer, appends: [batches[index % batches.count]])
                let before = nanoseconds()
                log.submit(batch) { _ in }
                _ = try gate.wait(for: 1)
                let reply = gate.lastReply
                guard let layout = try? EventLayout(parsing: reply.span.bytes), layout.data.count == 8 else {
                    throw BenchFailure("a handler's time did not come")
                }
                let time = reply.span.bytes.littleEndian(at: layout.data.lowerBound, as: UInt64.self)
                times.append(Double(Int64(bitPattern: time &- before)) / 1_000)
            }
            return times
        }
    }

    private func shard(
        _ kind: DispatchBenchWorkers.Kind, _ log: EndToEndLog, handler: String, concurrency: Int
    ) throws -> BenchShard {
        self.generation += 1
        let ready = BenchSignal()
        let reader = WorkThread()
        var configuration = ShardConfiguration(
            readAhead: { work in reader.run(work) }, onReady: { _, _ in ready.raise() })
        configuration.engine.unsettledPerPartition = self.settings.unsettled
        let shard = try BenchShard(
            self.workers, log: log, configuration,
            self.function(self.workers.order(kind), handler: handler, concurrency: concurrency))
        guard ready.wait(seconds: 30) else { throw BenchFailure("the worker did not become ready") }
        return shard
    }

    static let burstWorkers = 4
    private static let burstEvents = 1_000

    /// Milliseconds from before the append of a burst until as many workers are being started as there may be; none was there.
    func burst() throws -> Double {
        try self.withLog(isFilled: false) { log in
            self.generation += 1
            let reader = WorkThread()
            let scale = ScalePlan(min: 0, max: Self.burstWorkers)
            let shard = try BenchShard(
                self.workers, log: log, ShardConfiguration(readAhead: { work in reader.run(work) }),
                self.function(self.workers.order(.native), handler: "main:echo_many", concurrency: 1, scale: scale))
            defer { shard.close() }
            let appends = EndToEndBench.input(self.input, bytes: self.settings.bytes).flatMap(\.appends)
            let before = seconds()
            log.submit(LogBatch(urgency: .producer, appends: Array(appends.prefix(Self.burstEvents)))) { _ in }
            while shard.workers < Self.burstWorkers {
                guard seconds() - before < 30 else { throw BenchFailure("a burst did not bring the workers") }
                usleep(200)
            }
            return (seconds() - before) * 1_000
        }
    }

    private func function(
        _ order: LaunchOrder, handler: String, concurrency: Int, scale: ScalePlan = ScalePlan(min: 1, max: 1)
    ) throws -> HostFunction {
        guard let name = ResourceName(.default, "echo") else { throw BenchFailure("echo is a name") }
        let trigger = TriggerID(rawValue: 1)
        let batch = self.settings.batch.map { BatchPlan(maxSize: $0, maxWait: .milliseconds(1)) }
        let initialization =
            #"{"function":"echo","namespace":"default","revision":"0","handler":"\#(handler)","#
            + #""concurrency":\#(concurrency),"batch":\#(batch.map { "{\"maxSize\":\($0.maxSize)}" } ?? "null"),"#
            + #""timeoutMicroseconds":30000000,"triggers":[{"name":"bench","topic":"input","table":false}],"#
            + #""emits":[],"path":"\#(self.workers.functionPath)","layer":null,"weights":null}"#
        return HostFunction(
            name: name, revision: "0", launch: order, initialization: Array(initialization.utf8),
            plan: FunctionPlan(
                function: FunctionID(rawValue: 1), generation: self.generation, concurrency: concurrency, batch: batch,
                scale: scale, triggers: [TriggerPlan(trigger: trigger, hasOutputs: true)]),
            triggers: [
                HostTrigger(
                    id: trigger, name: "bench", generation: self.generation, topic: self.input, replyTo: self.output,
                    outputs: .beforeLedger)
            ])
    }
}
