import ApusCore
import ApusJSON
import ApusTestSupport
import ApusTools
import Testing

@Suite struct AuditTests {
    static let keys = AuditKeys([("0123456789abcdef", [UInt8](repeating: 7, count: 32))])
    static let now = Timestamp(milliseconds: 1_800_000_000_000)

    private static func call(_ index: Int) -> AuditEntry {
        AuditEntry(
            .call, .allowed, namespace: .default, principal: "agent \"\(index)\"", subject: "embed_text",
            digest: "ab", arguments: "cd", milliseconds: 3, resultBytes: Int64(index))
    }

    /// The records of two starts of a server.
    private static func records(_ calls: Int = 20) -> [[UInt8]] {
        var first = AuditChain(self.keys, server: "one", chain: "a", after: nil)
        var records = [first.start(now: self.now)]
        for index in 0..<calls { records.append(first.append(self.call(index), now: self.now)) }
        var second = AuditChain(self.keys, server: "one", chain: "b", after: first.last)
        records.append(second.start(now: self.now))
        for index in 0..<calls { records.append(second.append(self.call(index), now: self.now)) }
        return records
    }

    private static func check(_ records: [[UInt8]], _ keys: AuditKeys = keys) -> [AuditCheck.Finding] {
        var check = AuditCheck(keys)
        for record in records { check.take(record) }
        check.end()
        return check.findings
    }

    @Test func whatNobodyTouchedIsRight() { #expect(Self.check(Self.records()).isEmpty) }

    @Test func aChangedByteIsFoundAtItsRecord() {
        var generator = SeededGenerator(seed: 12)
        let records = Self.records()
        for _ in 0..<500 {
            var changed = records
            let record = Int(generator.next() % UInt64(records.count))
            let byte = Int(generator.next() % UInt64(records[record].count))
            changed[record][byte] ^= UInt8(1 + generator.next() % 255)
            #expect(Self.check(changed).first?.record == record)
        }
    }

    @Test func aMissingOrMovedRecordIsFound() {
        let records = Self.records()
        for index in records.indices.dropLast() {
            var fewer = records
            fewer.remove(at: index)
            #expect(Self.check(fewer).first?.record == index, "\(index) was taken away")
        }
        for index in 1..<records.count - 1 {
            var moved = records
            moved.swapAt(index, index + 1)
            #expect(Self.check(moved).first?.record == index)
            var twice = records
            twice.insert(records[index], at: index)
            #expect(Self.check(twice).first?.record == index + 1)
        }
    }

    @Test func theEndOfAnEarlierChainIsKnownToTheNext() {
        let records = Self.records()
        #expect(Self.check(Array(records[..<18]) + Array(records[21...])).first?.record == 18)
    }

    @Test func aBeginningIsWhereAnAnchorSays() {
        var chain = AuditChain(Self.keys, server: "one", chain: "a", after: nil)
        var records = [chain.start(now: Self.now)]
        var links = [chain.last]
        for index in 0..<10 {
            records.append(chain.append(Self.call(index), now: Self.now))
            links.append(chain.last)
        }
        #expect(Self.check(Array(records[4...])).count == 1, "no anchor says that they may be gone")
        records.append(chain.anchor([AuditPlace(server: "one", link: links[4])], now: Self.now))
        records.append(chain.append(Self.call(99), now: Self.now))
        #expect(Self.check(records).isEmpty, "what an anchor lets go may still be there")
        #expect(Self.check(Array(records[3...])).isEmpty && Self.check(Array(records[4...])).isEmpty)
        #expect(Self.check(Array(records[5...])).map(\.record) == [nil])
    }

    @Test func noMemberOfARecordComesTwice() throws {
        var entry = AuditEntry(
            .change, .allowed, namespace: .default, principal: "ann", subject: "search", digest: "1", digestBefore: "2", revision: "r",
            arguments: "3", code: "accepted", milliseconds: 4, resultBytes: 5, invocation: "i", approval: "p", trace: "t")
        var chain = AuditChain(Self.keys, server: "one", chain: "a", after: nil)
        _ = chain.start(now: Self.now)
        let record = try JSONValue.parse(chain.append(entry, now: Self.now))
        #expect(record["sha256"] == "1" && record["sha256Before"] == "2" && record["previous"]?.string?.isEmpty == false)
        entry.kind = .call
        #expect(try JSONValue.parse(chain.append(entry, now: Self.now))["kind"] == "call")
    }

    @Test func serversDoNotMix() {
        var one = AuditChain(Self.keys, server: "one", chain: "a", after: nil)
        var two = AuditChain(Self.keys, server: "two", chain: "b", after: nil)
        var records = [one.start(now: Self.now), two.start(now: Self.now)]
        for index in 0..<5 {
            records.append(one.append(Self.call(index), now: Self.now))
            records.append(two.append(Self.call(index), now: Self.now))
        }
        #expect(Self.check(records).isEmpty)
    }

    @Test func keysOfBeforeStillProveAndUnknownOnesDoNot() {
        let older = AuditKeys([
            ("0123456789abcdef", [UInt8](repeating: 7, count: 32)), ("ffffffffffffffff", [1, 2, 3]),
        ])
        #expect(Self.check(Self.records(), older).isEmpty)
        let other = AuditKeys([("ffffffffffffffff", [UInt8](repeating: 7, count: 32))])
        #expect(Self.check(Self.records(2), other).count == Self.records(2).count)
        let wrong = AuditKeys([("0123456789abcdef", [UInt8](repeating: 8, count: 32))])
        #expect(!Self.check(Self.records(2), wrong).isEmpty)
    }

    @Test func findingsAreBoundedAndCounted() {
        var check = AuditCheck(Self.keys)
        for _ in 0..<150 { check.take(Array("no record".utf8)) }
        check.end()
        #expect(check.findings.count == 100 && check.omitted == 50 && check.records == 150)
    }
}
