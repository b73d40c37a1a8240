import ApusCore
import Testing

@testable import ApusStore

@Suite struct BackupFormatTests {
    private static let head = BackupHead(created: Timestamp(milliseconds: 1_700_000_000_000), log: 0xABCD)

    private static func parts() throws -> [BackupPart] {
        let name = try #require(TopicName(.default, "orders"))
        let topic = LogCopyTopic(
            name: name,
            configuration: TopicConfiguration(partitions: 1, retentionTime: .seconds(60), isCompacted: true),
            partitions: [
                LogCopyTopic.Partition(
                    bounds: OffsetBounds(start: 2, end: 9), lastTimestamp: Timestamp(microseconds: 77))
            ])
        let entries = LogCopyEntries(table: "ledger", entries: [([1, 2], [3]), ([4], [])])
        return [
            .head(self.head), .topic(topic), .entries(entries),
            .records(topic: 0, partition: 0, [(3, [9, 9, 9]), (8, [])]),
            .bundle(hash: String(repeating: "ab", count: 32), isLast: false, [1, 2, 3]),
            .bundle(hash: String(repeating: "ab", count: 32), isLast: true, [4]),
        ]
    }

    private static func whole() throws -> [UInt8] {
        var encoder = BackupEncoder()
        var bytes: [UInt8] = []
        for part in try Self.parts() { bytes += encoder.encode(part) }
        return bytes + encoder.encode(.end(encoder.counts))
    }

    /// Every part, described; throws what is wrong with the bytes.
    private static func read(_ bytes: [UInt8], pieces: Int = .max) throws -> [String] {
        var decoder = BackupDecoder()
        var parts: [String] = []
        var at = 0
        while at < bytes.count {
            let end = min(bytes.count, at + min(pieces, bytes.count))
            decoder.append(Array(bytes[at..<end]))
            while let part = try decoder.next() { parts.append("\(part)") }
            at = end
        }
        try decoder.finish()
        return parts
    }

    private static func code(_ body: () throws -> Void) -> ErrorCode? {
        do {
            try body()
            return nil
        } catch { return (error as? ApusError)?.code }
    }

    @Test(arguments: [1, 7, 1_000]) func whatWasWrittenReadsBackInPiecesOfAnySize(pieces: Int) throws {
        let parts = try Self.read(try Self.whole(), pieces: pieces)
        #expect(Array(parts.dropLast()) == (try Self.parts()).map { "\($0)" })
        #expect(parts.count == 7)
    }

    @Test func aBackupCutAnywhereIsNotWhole() throws {
        let bytes = try Self.whole()
        for count in 0..<bytes.count {
            #expect(Self.code { _ = try Self.read(Array(bytes[..<count])) } == .backupInvalid, "cut at \(count)")
        }
    }

    @Test func aChangedByteIsFoundWhereverItIs() throws {
        let bytes = try Self.whole()
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 0x41
            let code = Self.code { _ = try Self.read(changed) }
            // The version stands in bytes 12 to 15.
            #expect(code == ((12..<16).contains(index) ? .backupFormat : .backupInvalid), "byte \(index)")
        }
    }

    @Test func whatFollowsTheEndIsRefused() throws {
        #expect(Self.code { _ = try Self.read(try Self.whole() + [0]) } == .backupInvalid)
    }

    @Test func blocksCannotBeLeftOutRepeatedOrPutInAnotherOrder() throws {
        func backup(_ parts: [BackupPart]) -> [UInt8] {
            var encoder = BackupEncoder()
            var bytes: [UInt8] = []
            for part in parts { bytes += encoder.encode(part) }
            return bytes + encoder.encode(.end(encoder.counts))
        }
        let parts = try Self.parts()
        #expect(Self.code { _ = try Self.read(backup(parts)) } == nil)
        #expect(Self.code { _ = try Self.read(backup(Array(parts.dropFirst()))) } == .backupInvalid, "no head")
        #expect(Self.code { _ = try Self.read(backup([parts[0]] + parts)) } == .backupInvalid, "two heads")
        #expect(Self.code { _ = try Self.read(backup(parts.swapping(1, 3))) } == .backupInvalid)
        // The end of one backup on the beginning of another.
        var bytes: [UInt8] = []
        var encoder = BackupEncoder()
        for part in parts { bytes += encoder.encode(part) }
        var counts = encoder.counts
        counts.records -= 1
        #expect(Self.code { _ = try Self.read(bytes + encoder.encode(.end(counts))) } == .backupInvalid)
    }

    @Test func aBackupThatTheServerEndedSaysWhy() throws {
        var encoder = BackupEncoder()
        let bytes =
            encoder.encode(.head(Self.head)) + encoder.encode(.failure(ApusError(.deadlineExceeded, "it stood still")))
        var decoder = BackupDecoder()
        decoder.append(bytes)
        _ = try decoder.next()
        guard case .failure(let error)? = try decoder.next() else { return #expect(Bool(false), "a failure comes") }
        #expect(error.code == .deadlineExceeded && error.message == "it stood still")
        #expect(Self.code { try decoder.finish() } == .backupInvalid)
    }

    @Test func aBlockOverItsBoundIsRefusedBeforeItIsHeld() throws {
        var bytes = BackupFormat.start
        bytes.appendLittleEndian(UInt32(Limits.Backup.blockBytes + 1))
        bytes += [BackupFormat.Kind.head.rawValue, 0, 0, 0]
        #expect(Self.code { _ = try Self.read(bytes) } == .backupInvalid)
    }
}

extension Array {
    fileprivate func swapping(_ left: Int, _ right: Int) -> Array {
        var copy = self
        copy.swapAt(left, right)
        return copy
    }
}
