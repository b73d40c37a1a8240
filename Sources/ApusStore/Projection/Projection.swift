public import ApusCore
internal import Glibc

/// What is deployed and what happened, in SQLite tables, made by following control, invocation and dead-letter topics: for queries only.
///
/// Nothing here is the truth. The offsets it reached lie in the same transaction as what they brought, together with the log's
/// identity and the version of the schema; a file that does not fit is thrown away, and following from the start makes it again.
/// One thread owns it.
public final class Projection {
    /// Why the file was made anew at this start.
    public enum Remade: Sendable, Hashable {
        case missing
        case damaged
        case otherSchema
        case otherLog
        /// It knew offsets that the log does not have: the log was restored to an earlier state.
        case aheadOfLog
    }

    public let path: String
    /// Nil when the file was kept.
    public let remade: Remade?
    /// Records that could not be understood and were passed over since the start.
    public private(set) var skippedRecords = 0
    /// What was wrong with the last of them.
    public private(set) var lastSkip: ApusError?

    let database: Database
    let logIdentity: UInt64
    private var positions: [TopicPartition: Offset]
    private let savePosition: Statement
    private let generationOf: Statement
    private let saveGeneration: Statement
    let insertLog: Statement
    let insertDeadLetter: Statement
    let insertInvocation: Statement
    let usageSource: Statement
    let saveUsageSource: Statement
    let addFunctionUsage: Statement
    let addShareUsage: Statement
    let addDeviceUsage: Statement
    let addCallerUsage: Statement
    let addUsageGap: Statement
    let addTransition: Statement
    /// Ids of invocations that reached their terminal state since ``takeEndedInvocations()``.
    var endedInvocations: [String] = []
    /// Those with another state that is not their last.
    var changedInvocations: [String] = []
    /// Ids of invocations that somebody asked to cancel since ``takeCancelRequests()``.
    var cancelRequests: [String] = []
    /// Answers that somebody gave since ``takeAnswerRequests()``.
    var answerRequests: [QuestionAnswer] = []

    /// Opens `state.db`, or makes it.
    /// - Parameter end: the next offset of a partition on the log, nil where there is none.
    /// - Throws: `projection_failed`, `disk_full`.
    public init(path: String, logIdentity: UInt64, end: (TopicPartition) -> Offset?) throws(ApusError) {
        let (database, positions, remade) = try Self.open(path, logIdentity, end)
        self.path = path
        self.remade = remade
        self.database = database
        self.logIdentity = logIdentity
        self.positions = positions
        self.savePosition = try database.prepare(
            "INSERT INTO positions (topic, partition, next) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET next = excluded.next"
        )
        self.generationOf = try database.prepare("SELECT generation FROM generations WHERE key = ?")
        self.saveGeneration = try database.prepare(
            "INSERT INTO generations (key, generation) VALUES (?, ?) ON CONFLICT DO UPDATE SET generation = excluded.generation"
        )
        self.insertLog = try database.prepare(ProjectionLogs.insert)
        self.insertDeadLetter = try database.prepare(ProjectionDeadLetters.insert)
        self.insertInvocation = try database.prepare(ProjectionInvocations.insert)
        self.usageSource = try database.prepare("SELECT sequence FROM usage_sources WHERE run = ?")
        self.saveUsageSource = try database.prepare(
            "INSERT INTO usage_sources (run, sequence, seen) VALUES (?, ?, ?) "
                + "ON CONFLICT DO UPDATE SET sequence = excluded.sequence, seen = excluded.seen")
        self.addFunctionUsage = try database.prepare(ProjectionUsage.addFunction)
        self.addShareUsage = try database.prepare(ProjectionUsage.addShare)
        self.addDeviceUsage = try database.prepare(ProjectionUsage.addDevice)
        self.addCallerUsage = try database.prepare(ProjectionUsage.addCaller)
        self.addUsageGap = try database.prepare(ProjectionUsage.addGap)
        self.addTransition = try database.prepare(ProjectionUsage.addTransition)
    }

    /// Where following a partition goes on: 0 where nothing was followed yet.
    public func position(of partition: TopicPartition) -> Offset { self.positions[partition] ?? 0 }

    /// Takes in records of one partition, in order, and where to go on, in one transaction. What was taken in before is passed
    /// over, so that a batch may be given twice. `apus.control`, `apus.logs`, `apus.usage` and those of invocations are known by name;
    /// every other topic is one of dead letters.
    /// - Throws: `projection_failed` or `disk_full`, with nothing changed: give the batch again.
    public func apply(_ partition: TopicPartition, _ records: [(offset: Offset, event: Event)], next: Offset)
        throws(ApusError)
    {
        let reached = self.position(of: partition)
        guard next > reached else { return }
        try self.database.transaction { () throws(ApusError) in
            var touched: Set<ResourceName> = []
            for (offset, event) in records where offset >= reached {
                switch partition.topic {
                case .control: try self.applyControl(event)
                case .logs:
                    if let line = LogLine(event) {
                        try self.add(line)
                        touched.insert(line.function)
                    }
                case .usage: try self.applyUsage(event)
                case .invocations: try self.applyInvocation(event, at: partition.partition, offset)
                case let queue where queue.invokedFunction != nil: try self.addInvocation(event, of: queue, offset)
                default: try self.addDeadLetter(event, at: partition, offset)
                }
            }
            for function in touched { try self.trimLogs(of: function) }
            if !touched.isEmpty { try self.trimLogs() }
            let place: [SQLValue] = [
                .text(partition.topic.onLog), .integer(Int64(partition.partition)), .integer(next),
            ]
            try self.savePosition.run(place)
        }
        self.positions[partition] = next
    }

    /// Forgets how far a topic that is gone was followed: one of its name that is made again is another one.
    public func forget(_ topic: TopicName) throws(ApusError) {
        try self.database.prepare("DELETE FROM positions WHERE topic = ?").run([.text(topic.onLog)])
        for partition in self.positions.keys where partition.topic == topic { self.positions[partition] = nil }
    }

    private func applyControl(_ event: Event) throws(ApusError) {
        let record: ControlRecord
        do throws(ApusError) {
            record = try ControlRecord(event)
        } catch {
            // The table must go on: one record of a later version may not hold up all that follow.
            self.skipped(error)
            return
        }
        guard try self.raises(record) else { return }
        try self.apply(record)
    }

    func skipped(_ error: ApusError) {
        self.skippedRecords += 1
        self.lastSkip = error
    }

    /// Whether a record is newer than what its key had: whoever may write to the topic could bring an older one back. Fates and
    /// revisions have no generations of their own.
    private func raises(_ record: ControlRecord) throws(ApusError) -> Bool {
        if record.kind == .fate || record.kind == .revision { return true }
        let known = try self.generationOf.first([.text(record.key)]) { $0.integer(0) }
        guard record.generation > known.map(UInt64.init(bitPattern:)) ?? 0 else { return false }
        try self.saveGeneration.run([.text(record.key), .integer(Int64(bitPattern: record.generation))])
        return true
    }

    // MARK: opening

    private static func open(
        _ path: String, _ identity: UInt64, _ end: (TopicPartition) -> Offset?
    ) throws(ApusError) -> (Database, [TopicPartition: Offset], Remade?) {
        let reason: Remade
        if access(path, F_OK) == 0 {
            do throws(ApusError) {
                let database = try Database(path: path)
                let (positions, misfit) = try Self.check(database, identity, end)
                guard let misfit else { return (database, positions, nil) }
                reason = misfit
            } catch {
                if error.code == .diskFull { throw error }
                reason = .damaged
            }
            for suffix in ["", "-wal", "-shm"] { try FileTree.remove(path + suffix) }
        } else {
            reason = .missing
        }
        let database = try Database(path: path)
        try database.transaction { () throws(ApusError) in
            try database.execute(ProjectionSchema.sql)
            let insert = try database.prepare("INSERT INTO meta (name, value) VALUES (?, ?)")
            try insert.run([.text("schema"), .integer(ProjectionSchema.version)])
            try insert.run([.text("log"), .integer(Int64(bitPattern: identity))])
        }
        return (database, [:], reason)
    }

    private static func check(
        _ database: Database, _ identity: UInt64, _ end: (TopicPartition) -> Offset?
    ) throws(ApusError) -> ([TopicPartition: Offset], Remade?) {
        let meta = try database.prepare("SELECT value FROM meta WHERE name = ?")
        let schema = try meta.first([.text("schema")]) { $0.integer(0) }
        guard schema == ProjectionSchema.version else { return ([:], .otherSchema) }
        let log = try meta.first([.text("log")]) { $0.integer(0) }
        guard log == Int64(bitPattern: identity) else { return ([:], .otherLog) }
        var positions: [TopicPartition: Offset] = [:]
        var isAhead = false
        var gone: [TopicName] = []
        try database.prepare("SELECT topic, partition, next FROM positions").run { row in
            guard let topic = TopicName(onLog: row.text(0)) else { return true }
            let place = TopicPartition(topic, Int(row.integer(1)))
            // A topic that is gone was deleted: its rows are of no harm. One that came back shorter is another one.
            guard let end = end(place) else {
                gone.append(topic)
                return true
            }
            positions[place] = row.integer(2)
            if end < row.integer(2) { isAhead = true }
            return true
        }
        for topic in gone {
            try database.prepare("DELETE FROM positions WHERE topic = ?").run([.text(topic.onLog)])
        }
        return isAhead ? ([:], .aheadOfLog) : (positions, nil)
    }
}
