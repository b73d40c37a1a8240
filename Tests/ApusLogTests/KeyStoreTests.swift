import ApusCore
import ApusTestSupport
import Glibc
import Testing

@testable import ApusLog

/// The file beside a log on Kafka, which may go at any time.
@Suite struct KeyStoreTests {
    private static let key = KeyPromises.key(1)

    private static func write(_ store: KeyStore) throws {
        try store.put(
            [LogBatch.KeyWrite(key: Self.key, value: [1], keptUntil: .distantFuture)], mark: ("topic/0", 7))
    }

    private static func open(_ path: String, identity: UInt64 = 1, boot: String = "this") throws -> KeyStore {
        let store = try KeyStore(path: "\(path)/keys.mdb", keysMax: 10, bootID: boot) { .zero }
        try store.adopt(identity: identity)
        return store
    }

    @Test func whatWasWrittenIsThereAfterAnEndAndAfterAKill() throws {
        let scratch = ScratchDirectory("store")
        var store = try Self.open(scratch.path)
        try Self.write(store)
        store.close()
        store = try Self.open(scratch.path)
        #expect(try store.values([Self.key, KeyPromises.key(2)]) == [[1], nil])
        #expect(try store.mark("topic/0") == 7)
        #expect(store.status.keys == 1)
        // Killed: the marker of this boot stays, and the kernel has what was written.
        #expect(access("\(scratch.path)/keys.mdb-boot", F_OK) == 0)
        store.close()
    }

    @Test func anotherLogsKeysAndThoseOfAnotherBootGo() throws {
        let scratch = ScratchDirectory("store")
        var store = try Self.open(scratch.path)
        try Self.write(store)
        store.close()
        store = try Self.open(scratch.path, identity: 2)
        #expect(try store.values([Self.key]) == [nil])
        #expect(try store.mark("topic/0") == nil)
        #expect(store.status.keys == 0)
        try Self.write(store)
        // As after a power loss: not closed, and the machine has started anew.
        try BootMarker(log: "\(scratch.path)/keys.mdb").write("that")
        let copy = try Self.open(scratch.path, identity: 2, boot: "another")
        #expect(try copy.values([Self.key]) == [nil])
        copy.close()
        store.close()
    }

    @Test func aFileThatIsNoneIsMadeAgain() throws {
        let scratch = ScratchDirectory("store")
        try writeFile("\(scratch.path)/keys.mdb", String(repeating: "no such thing ", count: 1_000))
        let store = try Self.open(scratch.path)
        try Self.write(store)
        #expect(try store.values([Self.key]) == [[1]])
        store.close()
    }

    @Test func afterAFailureNothingIsDecidedByItAndTheNextStartBeginsAnew() throws {
        let scratch = ScratchDirectory("store")
        var store = try Self.open(scratch.path)
        try Self.write(store)
        // LMDB takes no key of this length.
        let bad = LogBatch.KeyWrite(key: Array(repeating: 1, count: 600), value: [], keptUntil: .distantFuture)
        #expect(LogFixture.code { try store.put([bad]) } == .logFailed)
        #expect(LogFixture.code { _ = try store.values([Self.key]) } == .logFailed)
        #expect(store.status.failure?.code == .logFailed)
        store.close()
        store = try Self.open(scratch.path)
        #expect(try store.values([Self.key]) == [nil])
        store.close()
    }
}
