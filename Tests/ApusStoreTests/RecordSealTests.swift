import ApusCore
import ApusCrypto
import Testing

@testable import ApusStore

@Suite struct RecordSealTests {
    private static func keys(_ digits: String...) throws -> MasterKeys {
        let text = digits.map { String(repeating: $0, count: 32) }.joined(separator: "\n")
        let keys = try Array(text.utf8).withUnsafeBytes { try MasterKeyFile.parse($0, "test") }
        return MasterKeys(keys, origin: "test", isGenerated: false)
    }

    private static let place = TopicPartition(.control, 0)

    private static var event: Event {
        var event = Event(key: [1, 2], data: [3], timestamp: .zero)
        event["type"] = "dev.apus.control.function"
        event["id"] = "a"
        return event
    }

    @Test func whatIsSealedVerifiesWhereItWasWrittenOnly() throws {
        let seal = RecordSeal(try Self.keys("ab"))
        let sealed = seal.seal(Self.event, on: Self.place)
        #expect(seal.verify(sealed, on: Self.place) == .valid)
        #expect(seal.verify(sealed, on: TopicPartition(.control, 1)) == .forged)
        #expect(seal.verify(sealed, on: TopicPartition(.schedule, 0)) == .forged)
        // The log's time is not the record's.
        var stamped = sealed
        stamped.timestamp = Timestamp(milliseconds: 5)
        #expect(seal.verify(stamped, on: Self.place) == .valid)
        var tombstone = Event(key: [1], data: nil)
        tombstone = seal.seal(tombstone, on: Self.place)
        #expect(seal.verify(tombstone, on: Self.place) == .valid)
    }

    @Test func everyChangeIsNoticed() throws {
        let seal = RecordSeal(try Self.keys("ab"))
        let sealed = seal.seal(Self.event, on: Self.place)
        let changes: [(inout Event) -> Void] = [
            { $0.key = [1, 3] }, { $0.key = nil }, { $0.data = [4] }, { $0.data = nil }, { $0.data = [] },
            { $0["type"] = "other" }, { $0["extra"] = "x" }, { $0.attributes.removeFirst() },
            { $0.attributes.append(Attribute("x", "y", kind: .header)) },
            { $0.attributes.append(Attribute(RecordSeal.header, "1:a:b", kind: .header)) },
        ]
        for change in changes {
            var event = sealed
            change(&event)
            #expect(seal.verify(event, on: Self.place) == .forged)
        }
        #expect(seal.verify(Self.event, on: Self.place) == .unsealed)
    }

    @Test func anOlderKeyStillVerifiesAndAnUnknownOneIsNamed() throws {
        let old = RecordSeal(try Self.keys("ab")).seal(Self.event, on: Self.place)
        let both = RecordSeal(try Self.keys("ab", "cd"))
        #expect(both.verify(old, on: Self.place) == .valid)
        let new = both.seal(Self.event, on: Self.place)
        #expect(both.verify(new, on: Self.place) == .valid)
        let id = try Self.keys("cd").newest.id
        #expect(RecordSeal(try Self.keys("ab")).verify(new, on: Self.place) == .unknownKey(id))
        // Sealed anew, it is under the newest key, and has one seal.
        let again = both.seal(old, on: Self.place)
        #expect(again.attributes.filter { $0.name == RecordSeal.header }.count == 1)
        #expect(again == new)
    }
}
