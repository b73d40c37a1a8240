import ApusCore
import ApusJSON
import Glibc
import Testing

@testable import ApusStore

@Suite struct ProjectionTests {
    let scratch = ScratchFolder()
    let control = TopicPartition(.control, 0)
    let logs = TopicPartition(.logs, 3)
    let dead = TopicPartition(.dead, 2)

    private func open(identity: UInt64 = 7, end: Offset? = 1_000_000) throws -> Projection {
        try Projection(path: "\(self.scratch.path)/state.db", logIdentity: identity) { _ in end }
    }

    private func name(_ text: String) throws -> ResourceName { try #require(ResourceName(.default, text)) }

    private func deployed(_ name: String, generation: UInt64, revision: String) -> ControlRecord {
        var record = ControlRecordTests.function
        record.name = name
        record.generation = generation
        record.time = Timestamp(microseconds: Int64(generation) * 10)
        record.content = .function(
            FunctionDeployment(
                manifest: ["runtime": "python3"], revision: revision, bundle: "b\(generation)", layer: nil,
                triggers: [],
                origin: 1
            )
        )
        return record
    }

    @Test func controlRecordsBecomeFunctionsAndTheirRevisions() throws {
        let projection = try self.open()
        #expect(projection.remade == .missing)
        let records = [
            self.deployed("embed", generation: 1, revision: "r1"),
            self.deployed("embed", generation: 2, revision: "r2"),
        ]
        try projection.apply(self.control, records.enumerated().map { (Offset($0.offset), $0.element.event) }, next: 2)
        let row = try #require(try projection.function(self.name("embed")))
        #expect(row.revision == "r2")
        #expect(row.bundle == "b2")
        #expect(row.created == Timestamp(microseconds: 10))
        #expect(row.updated == Timestamp(microseconds: 20))
        #expect(try projection.revisions(of: self.name("embed")).map(\.revision) == ["r2", "r1"])
        #expect(try projection.functions(in: .default).map(\.name) == ["embed"])
        #expect(try projection.functions(in: Namespace("other")).isEmpty)
        #expect(projection.position(of: self.control) == 2)
    }

    @Test func aDeletedFunctionIsGoneWithItsRevisions() throws {
        let projection = try self.open()
        let record = self.deployed("embed", generation: 1, revision: "r1")
        var deleted = record
        deleted.generation = 2
        deleted.content = .deleted
        try projection.apply(self.control, [(0, record.event), (1, deleted.event)], next: 2)
        #expect(try projection.function(self.name("embed")) == nil)
        #expect(try projection.revisions(of: self.name("embed")).isEmpty)
    }

    @Test func topicsAreListedByTheirNameInTheNamespace() throws {
        let projection = try self.open()
        try projection.apply(
            self.control, ControlRecordTests.all.enumerated().map { (Offset($0.offset), $0.element.event) }, next: 4)
        #expect(try projection.topics(in: nil).map(\.name) == ["documents.dead"])
        #expect(try projection.topic(.default, "documents.dead")?.manifest == #"{"partitions":4}"#)
    }

    @Test func aBatchGivenTwiceIsTakenInOnce() throws {
        let projection = try self.open()
        let line = LogLine(function: try self.name("f"), time: .zero, level: .info, text: "hello")
        try projection.apply(self.logs, [(0, line.event)], next: 1)
        try projection.apply(self.logs, [(0, line.event), (1, line.event)], next: 2)
        #expect(try projection.logs(of: self.name("f"), limit: 10).count == 2)
    }

    @Test func aReopenedProjectionGoesOnWhereItWas() throws {
        try self.open().apply(self.control, [(0, self.deployed("embed", generation: 1, revision: "r1").event)], next: 9)
        let again = try self.open()
        #expect(again.remade == nil)
        #expect(again.position(of: self.control) == 9)
        #expect(try again.function(self.name("embed")) != nil)
    }

    @Test func anotherLogThrowsItAway() throws {
        try self.open().apply(self.control, [(0, self.deployed("embed", generation: 1, revision: "r1").event)], next: 1)
        let again = try self.open(identity: 8)
        #expect(again.remade == .otherLog)
        #expect(again.position(of: self.control) == 0)
        #expect(try again.functions(in: nil).isEmpty)
    }

    @Test func beingAheadOfTheLogThrowsItAway() throws {
        try self.open().apply(
            self.control, [(0, self.deployed("embed", generation: 1, revision: "r1").event)], next: 10)
        #expect(try self.open(end: 10).remade == nil)
        #expect(try self.open(end: 9).remade == .aheadOfLog)
    }

    @Test func anotherSchemaThrowsItAway() throws {
        _ = try self.open()
        try Database(path: "\(self.scratch.path)/state.db").execute("UPDATE meta SET value = 999 WHERE name = 'schema'")
        #expect(try self.open().remade == .otherSchema)
        #expect(try self.open().remade == nil)
    }

    @Test func aDamagedFileIsThrownAway() throws {
        self.scratch.write("state.db", String(repeating: "this is no database ", count: 1_000))
        #expect(try self.open().remade == .damaged)
    }

    @Test func deletedAndFollowedAgainItHoldsTheSame() throws {
        let records = ControlRecordTests.all.enumerated().map { (offset: Offset($0.offset), event: $0.element.event) }
        let first = try self.open()
        try first.apply(self.control, records, next: 4)
        let (functions, topics) = (try first.functions(in: nil), try first.topics(in: nil))
        try FileTree.remove("\(self.scratch.path)/state.db")
        let second = try self.open()
        for (offset, event) in records { try second.apply(self.control, [(offset, event)], next: offset + 1) }
        #expect(try second.functions(in: nil) == functions)
        #expect(try second.topics(in: nil) == topics)
    }

    @Test func aRecordThatCannotBeReadIsPassedOverAndCounted() throws {
        let projection = try self.open()
        let bad = Event(key: Array("Tool/default/x".utf8), data: Array("{}".utf8))
        try projection.apply(
            self.control, [(0, bad), (1, self.deployed("embed", generation: 1, revision: "r1").event)], next: 2)
        #expect(projection.skippedRecords == 1)
        #expect(projection.lastSkip?.code == .logDamaged)
        #expect(try projection.function(self.name("embed")) != nil)
    }

    @Test func revisionsAreBounded() throws {
        let projection = try self.open()
        let count = Limits.Projection.revisionsPerFunction + 1
        let records = (0..<count).map {
            (Offset($0), self.deployed("f", generation: UInt64($0 + 1), revision: "r\($0 + 1)").event)
        }
        try projection.apply(self.control, records, next: Offset(count))
        let kept = try projection.revisions(of: self.name("f"))
        #expect(kept.count == Limits.Projection.revisionsPerFunction)
        #expect(kept.last?.revision == "r2")
    }

    // MARK: dead letters

    private func deadLetter(_ function: String, offset: Offset) -> Event {
        let reason = DeadLetterReason(
            topic: "documents", partition: 1, offset: offset, attempts: 5, code: "function_failed", message: "boom",
            detail: "line 1",
            namespace: "default", function: function, trigger: "documents", time: Timestamp(microseconds: 99),
            revision: "r1"
        )
        return Event(
            key: Array("k".utf8),
            attributes: [Attribute("id", "e\(offset)"), Attribute("type", "t")] + reason.attributes, data: [1]
        )
    }

    @Test func deadLettersAreListedWithTheirReasonAndFilteredByFunctionAndTopic() throws {
        let projection = try self.open()
        let events = [
            (Offset(4), self.deadLetter("a", offset: 40)), (5, self.deadLetter("b", offset: 50)), (6, Event(data: [2])),
        ]
        try projection.apply(self.dead, events, next: 7)
        let all = try projection.deadLetters(DeadLetterQuery())
        #expect(all.map(\.reason.function) == ["a", "b"])
        #expect(all.first?.reason == DeadLetterReason(events[0].1))
        #expect(all.first?.id == DeadLetterID(logIdentity: 7, topic: .dead, partition: 2, offset: 4))
        #expect(all.first?.eventID == "e40")
        #expect(try projection.deadLetters(DeadLetterQuery(function: "b")).map(\.reason.offset) == [50])
        #expect(try projection.deadLetters(DeadLetterQuery(topic: "documents")).count == 2)
        #expect(try projection.deadLetters(DeadLetterQuery(topic: "apus.dead")).count == 2)
        #expect(try projection.deadLetters(DeadLetterQuery(topic: "other")).isEmpty)
        #expect(
            try projection.deadLetters(DeadLetterQuery(after: all[0].sequence, limit: 1)).map(\.reason.function) == [
                "b"
            ])
        #expect(try projection.openDeadLetters() == 2)
    }

    @Test func aFateClosesADeadLetterWhicheverIsFollowedFirst() throws {
        let projection = try self.open()
        let id = DeadLetterID(logIdentity: 7, topic: .dead, partition: 2, offset: 4)
        let fate = ControlRecord(
            kind: .fate, namespace: .default, name: id.description, generation: 1, time: Timestamp(microseconds: 5),
            content: .fate(.redriven)
        )
        try projection.apply(self.control, [(0, fate.event)], next: 1)
        try projection.apply(self.dead, [(4, self.deadLetter("a", offset: 40))], next: 5)
        let row = try #require(try projection.deadLetter(id))
        #expect(row.state == .redriven)
        #expect(row.decided == Timestamp(microseconds: 5))
        #expect(try projection.deadLetters(DeadLetterQuery()).isEmpty)
        #expect(try projection.deadLetters(DeadLetterQuery(state: .redriven)).count == 1)
        #expect(try projection.openDeadLetters() == 0)
    }

    @Test func whatRetentionTookIsForgotten() throws {
        let projection = try self.open()
        try projection.apply(self.dead, (0..<5).map { ($0, self.deadLetter("a", offset: $0)) }, next: 5)
        #expect(try projection.countDeadLetters(self.dead, before: 3) == 3)
        #expect(try projection.expireDeadLetters(self.dead, before: 3, limit: 2) == 2)
        #expect(try projection.expireDeadLetters(self.dead, before: 3, limit: 2) == 1)
        #expect(try projection.deadLetters(DeadLetterQuery(state: nil)).map(\.id.offset) == [3, 4])
        #expect(try projection.deadLetterPartitions() == [self.dead])
    }

    @Test func fatesOfDeadLettersThatAreGoneAreFoundAStepAtATime() throws {
        let projection = try self.open()
        let ids = (0..<5).map { DeadLetterID(logIdentity: 7, topic: .dead, partition: 2, offset: $0) }
        let fates = ids.enumerated().map { index, id in
            let record = ControlRecord(
                kind: .fate, namespace: .default, name: id.description, generation: 1, time: .zero,
                content: .fate(.dropped))
            return (offset: Offset(index), event: record.event)
        }
        try projection.apply(self.control, fates, next: 5)
        try projection.apply(self.dead, [(3, self.deadLetter("a", offset: 40))], next: 4)
        let first = try projection.orphanedFates(after: "", limit: 3)
        #expect(first.map(\.id.offset) == [0, 1, 2])
        #expect(try projection.orphanedFates(after: first[2].id.description, limit: 3).map(\.id.offset) == [4])
        #expect(try projection.fate(of: ids[3]) == .dropped)
        let forgotten = ControlRecord(
            kind: .fate, namespace: .default, name: ids[0].description, generation: 1, time: .zero, content: .deleted)
        try projection.apply(self.control, [(5, forgotten.event)], next: 6)
        #expect(try projection.fate(of: ids[0]) == nil)
        #expect(try projection.count(.fates) == 4)
    }

    @Test func aRestoredDeadLetterIsKnownByItsOldIdAndFoundAtItsPlace() throws {
        let projection = try self.open()
        let old = DeadLetterID(logIdentity: 99, topic: .dead, partition: 2, offset: 4)
        var event = self.deadLetter("a", offset: 40)
        event.attributes.append(Attribute(DeadLetterHeader.restoredID, old.description, kind: .header))
        try projection.apply(self.dead, [(4, event)], next: 5)
        let row = try #require(try projection.deadLetter(old))
        #expect(row.place == RecordPlace(self.dead, 4))
    }

    @Test func oldLogLinesGoAStepAtATime() throws {
        let projection = try self.open()
        let name = try #require(ResourceName(.default, "f"))
        let logs = TopicPartition(.logs, 0)
        let lines = (0..<5).map { index in
            let line = LogLine(
                function: name, time: Timestamp(microseconds: Int64(index)), level: .info, text: "\(index)")
            return (offset: Offset(index), event: line.event)
        }
        try projection.apply(logs, lines, next: 5)
        let cutoff = Timestamp(microseconds: 3)
        #expect(try projection.removeLogs(before: cutoff, limit: 2, isDryRun: true) == 2)
        #expect(try projection.removeLogs(before: cutoff, limit: 2, isDryRun: false) == 2)
        #expect(try projection.removeLogs(before: cutoff, limit: 2, isDryRun: false) == 1)
        #expect(try projection.logs(of: name, limit: 10).map(\.line.text) == ["3", "4"])
    }

    @Test(arguments: [
        "", "x", "0000000000000007-apus.dead-2", "0000000000000007--2-4", "7-apus.dead-2-4", "0000000000000007-a-x-4",
        "0000000000000007-a-256-4", "0000000000000007-a-2--4", "0000000000000007-a b-2-4",
    ])
    func aMalformedDeadLetterIdIsNone(_ text: String) {
        #expect(DeadLetterID(text) == nil)
    }

    @Test func anIdOfATopicWithHyphensReadsBack() throws {
        let id = DeadLetterID(
            logIdentity: .max, topic: try #require(TopicName(onLog: "a-1-b.dead")), partition: 3, offset: 12)
        #expect(DeadLetterID(id.description) == id)
    }

    // MARK: logs

    @Test func logLinesComeNewestFirstPageAndThenFollow() throws {
        let projection = try self.open()
        let name = try self.name("f")
        let lines = (0..<10).map {
            LogLine(function: name, time: Timestamp(microseconds: $0), level: .stdout, text: "line \($0)", worker: 3)
        }
        try projection.apply(self.logs, lines.enumerated().map { (Offset($0.offset), $0.element.event) }, next: 10)
        let newest = try projection.logs(of: name, limit: 3)
        #expect(newest.map(\.line) == Array(lines.suffix(3)))
        let cursor = try #require(newest.last?.sequence)
        #expect(try projection.logs(of: name, after: cursor, limit: 10).isEmpty)
        try projection.apply(self.logs, [(10, lines[0].event)], next: 11)
        #expect(try projection.logs(of: name, after: cursor, limit: 10).map(\.line.text) == ["line 0"])
    }

    @Test func logLinesAreFilteredAndThePageSaysHowFarItLooked() throws {
        let projection = try self.open()
        let name = try self.name("f")
        let lines = LogPayload.Level.allCases.enumerated().map { index, level in
            LogLine(
                function: name, time: Timestamp(microseconds: Int64(index)), level: level, text: "\(level)",
                revision: index < 3 ? "aa11" : "ab22", invocation: index % 2 == 0 ? "even" : "odd")
        }
        let other = LogLine(function: try self.name("g"), time: .zero, level: .error, text: "other")
        let all = lines + [other]
        try projection.apply(
            self.logs, all.enumerated().map { (Offset($0.offset), $0.element.event) }, next: Offset(all.count))
        func texts(_ filter: LogFilter, after: Int64? = nil, limit: Int = 10) throws -> [String] {
            try projection.logs(of: name, after: after, filter: filter, limit: limit).map(\.line.text)
        }
        #expect(try texts(LogFilter()) == ["debug", "info", "warning", "error", "stdout", "stderr"])
        #expect(try texts(LogFilter(severity: .info)) == ["info", "warning", "error", "stdout", "stderr"])
        #expect(try texts(LogFilter(severity: .warning)) == ["warning", "error", "stderr"])
        #expect(try texts(LogFilter(severity: .error)) == ["error"])
        #expect(try texts(LogFilter(invocation: "odd")) == ["info", "error", "stderr"])
        #expect(try texts(LogFilter(invocation: "odd"), limit: 1) == ["stderr"])
        #expect(try texts(LogFilter(revision: "a")).count == 6)
        #expect(try texts(LogFilter(revision: "ab")) == ["error", "stdout", "stderr"])
        #expect(try texts(LogFilter(revision: "%")).isEmpty)
        #expect(try texts(LogFilter(since: Timestamp(microseconds: 4))) == ["stdout", "stderr"])
        #expect(try texts(LogFilter(severity: .warning, invocation: "odd", revision: "ab2")) == ["error", "stderr"])
        // A page that is not full has looked at everything, of other functions too; a full one goes on behind its last line.
        let newest = try projection.logPage(of: name, after: nil, filter: LogFilter(severity: .error), limit: 5)
        #expect(newest.rows.count == 1 && newest.next == 7)
        let full = try projection.logPage(of: name, after: 0, filter: LogFilter(invocation: "odd"), limit: 2)
        #expect(full.rows.map(\.sequence) == [2, 4] && full.next == 4)
        let rest = try projection.logPage(of: name, after: full.next, filter: LogFilter(invocation: "odd"), limit: 2)
        #expect(rest.rows.map(\.sequence) == [6] && rest.next == 7)
    }

    @Test func logLinesAreBoundedInNumberAndLength() throws {
        let projection = try self.open()
        let name = try self.name("f")
        let long = LogLine(
            function: name, time: .zero, level: .info,
            text: String(repeating: "é", count: Limits.Projection.logLineBytes))
        let count = Limits.Projection.logLinesPerFunction + 5
        try projection.apply(self.logs, (0..<count).map { (Offset($0), long.event) }, next: Offset(count))
        var all: [LogRow] = []
        while true {
            let page = try projection.logs(of: name, after: all.last?.sequence ?? 0, limit: .max)
            #expect(page.count <= Limits.Projection.rowsPerQuery)
            if page.isEmpty { break }
            all += page
        }
        #expect(all.count == Limits.Projection.logLinesPerFunction)
        #expect(all.first?.line.text.utf8.count == Limits.Projection.logLineBytes)
    }
}
