import ApusCore
import ApusJSON
import Testing

@testable import ApusStore

@Suite struct ControlRecordTests {
    static let function = ControlRecord(
        kind: .function, namespace: .default, name: "embed", generation: 3, time: Timestamp(microseconds: 17),
        content: .function(
            FunctionDeployment(
                manifest: ["runtime": "python3"], revision: "r3", bundle: "b", layer: "l",
                triggers: [
                    TriggerDeployment(
                        name: "documents", topic: TopicName(onLog: "documents") ?? .dead, isTable: false, generation: 1,
                        starts: [0, 7]
                    )
                ], origin: 2
            )
        )
    )

    static var all: [ControlRecord] {
        let topic = ControlRecord(
            kind: .topic, namespace: .default, name: "documents.dead", generation: 1, time: .zero,
            content: .topic(manifest: ["partitions": 4])
        )
        let deleted = ControlRecord(
            kind: .topic, namespace: .default, name: "a.b", generation: 2, time: .zero, content: .deleted)
        let fate = ControlRecord(
            kind: .fate, namespace: .default, name: "0000000000000001-a-0-1", generation: 1, time: .zero,
            content: .fate(.redriven)
        )
        let forgotten = ControlRecord(
            kind: .fate, namespace: .default, name: "0000000000000001-a-0-1", generation: 0, time: .zero,
            content: .deleted)
        return [Self.function, topic, deleted, fate, forgotten]
    }

    @Test(arguments: all) func aRecordReadsBackAsWritten(_ record: ControlRecord) throws {
        #expect(try ControlRecord(record.event) == record)
    }

    @Test func aTombstoneForgetsAFateAndNothingElse() throws {
        let fate = Event(key: Array("Fate/default/x".utf8), data: nil)
        #expect(try ControlRecord(fate).isDeleted)
        #expect(try ControlRecord(fate).event.data == nil, "compaction lets go of it in the end")
        #expect(throws: ApusError.self) { try ControlRecord(Event(key: Array("Function/default/x".utf8), data: nil)) }
    }

    @Test(arguments: [
        ("Function/default/other", "{}", ControlRecordError.badMember("format")), ("nothing", "{}", .badKey("nothing")),
        ("Tool/default/x", "{}", .unknownKind("Tool")), ("Topic/default/x", #"{"format":2}"#, .unknownFormat(2)),
        (
            "Topic/default/x", #"{"format":1,"kind":"Topic","namespace":"default","name":"y"}"#,
            .badKey("Topic/default/x")
        ),
        (
            "Topic/default/x", #"{"format":1,"kind":"Topic","namespace":"default","name":"x","generation":-1}"#,
            .badMember("generation")
        ),
        (
            "Topic/default/x", #"{"format":1,"kind":"Topic","namespace":"default","name":"x","generation":1,"time":1}"#,
            .badMember("manifest")
        ),
    ])
    func aRecordThatCannotBeReadSaysWhy(_ key: String, _ value: String, _ reason: ControlRecordError) {
        let error = #expect(throws: ApusError.self) {
            try ControlRecord(Event(key: Array(key.utf8), data: Array(value.utf8)))
        }
        #expect(error?.code == .logDamaged)
        #expect(error?.cause as? ControlRecordError == reason)
    }
}
