import ApusCore
import Testing

@testable import ApusEngine

@Suite struct FilterTests {
    private func matches(_ conditions: [(String, String)], _ attributes: [Attribute]) throws -> Bool {
        guard let filter = SubscriptionFilter(conditions.map { (name: $0.0, value: $0.1) }) else {
            Issue.record("the filter has too many conditions")
            return false
        }
        let bytes = EventBlock.encode(Event(key: [1, 2], attributes: attributes, data: [3]))
        let layout = try EventLayout(parsing: bytes.span.bytes)
        return try filter.matches(layout, in: bytes.span.bytes)
    }

    private let attributes = [
        Attribute("id", "7"), Attribute("type", "a.b"), Attribute("subject", "x"), Attribute("h", "1", kind: .header),
    ]

    @Test func everyConditionMustHoldExactly() throws {
        #expect(try self.matches([], self.attributes))
        #expect(try self.matches([("type", "a.b")], self.attributes))
        #expect(try self.matches([("type", "a.b"), ("subject", "x")], self.attributes))
        #expect(try !self.matches([("type", "a.b"), ("subject", "y")], self.attributes))
        #expect(try !self.matches([("type", "a.bc")], self.attributes))
        #expect(try !self.matches([("typ", "a.b")], self.attributes))
        #expect(try !self.matches([("absent", "")], self.attributes))
    }

    @Test func specversionIsAlwaysOneDotNought() throws {
        #expect(try self.matches([("specversion", "1.0"), ("id", "7")], self.attributes))
        #expect(try !self.matches([("specversion", "0.3")], self.attributes))
    }

    @Test func headersAreNoAttributesAndTheFirstOfANameCounts() throws {
        #expect(try !self.matches([("h", "1")], self.attributes))
        #expect(try self.matches([("id", "7")], self.attributes + [Attribute("id", "8")]))
        #expect(try !self.matches([("id", "8")], self.attributes + [Attribute("id", "8")]))
    }

    @Test func asManyConditionsAsItsBoundAndNoMore() throws {
        let count = Limits.Engine.filterConditions
        let all = (0..<count).map { Attribute("a\($0)", "\($0)") }
        #expect(try self.matches(all.map { ($0.name, $0.text) }, all.reversed()))
        #expect(SubscriptionFilter((0...count).map { (name: "a\($0)", value: "") }) == nil)
    }

    @Test func malformedAttributesAreAnError() throws {
        guard let filter = SubscriptionFilter([(name: "type", value: "x")]) else { return }
        var bytes = EventBlock.encode(Event(attributes: [Attribute("id", "7")], data: nil))
        bytes[EventBlock.headBytes + 2] = 200
        let layout = try EventLayout(parsing: bytes.span.bytes)
        #expect(throws: FrameError.malformed) { try filter.matches(layout, in: bytes.span.bytes) }
    }
}

@Suite struct LedgerCodingTests {
    private static func random(_ generator: inout SeededGenerator) -> LedgerState {
        func distance(_ least: Int64) -> Int64 {
            Int64.random(in: least...(Int64(1) << Int64.random(in: 1...40, using: &generator)), using: &generator)
        }
        var state = LedgerState(watermark: distance(0))
        var at = state.watermark
        for _ in 0..<Int.random(in: 0...5, using: &generator) {
            let start = at + distance(1)
            at = start + distance(1)
            state.settled.append(start..<at)
        }
        at = state.watermark + distance(0)
        for _ in 0..<Int.random(in: 0...5, using: &generator) {
            let due = Timestamp(microseconds: Int64.random(in: .min ... .max, using: &generator))
            state.pending.append(
                .init(offset: at, attempts: Int.random(in: 1...1_000_000, using: &generator), nextDue: due))
            at += distance(1)
        }
        return state
    }

    @Test func everyStateComesBackAsItWas() throws {
        var generator = SeededGenerator(seed: 21)
        for _ in 0..<20_000 {
            let state = Self.random(&generator)
            #expect(try LedgerState(decoding: state.encode()) == state)
        }
        let extreme = LedgerState(watermark: .max - 3, settled: [.max - 1 ..< .max], pending: [])
        #expect(try LedgerState(decoding: extreme.encode()) == extreme)
    }

    @Test func damagedBytesAreAnErrorOrAStateThatKeepsTheRules() {
        var generator = SeededGenerator(seed: 22)
        for _ in 0..<100_000 {
            var bytes = Self.random(&generator).encode()
            switch Int.random(in: 0...2, using: &generator) {
            case 0: bytes.removeLast(Int.random(in: 1...bytes.count, using: &generator))
            case 1:
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            default:
                bytes = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
                    UInt8.random(in: 0...255, using: &generator)
                }
            }
            guard let state = try? LedgerState(decoding: bytes) else { continue }
            // What was read is in its one form, so it encodes to the same bytes.
            if state.encode() != bytes { Issue.record("\(bytes) was read as \(state)") }
        }
    }

    @Test func whatIsWrongIsSaid() {
        #expect(throws: LedgerStateError.truncated) { try LedgerState(decoding: []) }
        #expect(throws: LedgerStateError.version(2)) { try LedgerState(decoding: [2, 0, 0, 0]) }
        #expect(throws: LedgerStateError.malformed) { try LedgerState(decoding: [1, 0, 0, 0, 0]) }
        // A count that the bytes cannot hold.
        #expect(throws: LedgerStateError.truncated) { try LedgerState(decoding: [1, 0, 0xFF, 0xFF, 0xFF, 0x0F]) }
    }
}

@Suite struct IndexTableTests {
    @Test func itAgreesWithADictionary() {
        var generator = SeededGenerator(seed: 9)
        var table = IndexTable()
        var model: [UInt64: Int32] = [:]
        for step in 0..<200_000 {
            // Few keys, so that probes collide, and neighbours as offsets are.
            let key = UInt64.random(in: 0..<300, using: &generator) &+ (step % 3 == 0 ? UInt64.max - 100 : 0)
            if UInt64.random(in: 0..<3, using: &generator) > 0 {
                let value = Int32.random(in: 0..<1_000, using: &generator)
                table.set(key, value)
                model[key] = value
            } else {
                let removed = table.remove(key)
                let expected = model.removeValue(forKey: key)
                if removed != expected { Issue.record("removed \(removed as Any), expected \(expected as Any)") }
            }
            if table[key] != model[key] || table.count != model.count { Issue.record("differs at step \(step)") }
        }
        for (key, value) in model where table[key] != value { Issue.record("lost \(key)") }
    }

    @Test func theRingKeepsItsOrderWhenItGrowsAndWhenOneLeaves() {
        var ring = IndexRing()
        for index in 0..<5 { ring.append(Int32(index)) }
        _ = ring.popFirst()
        for index in 5..<40 { ring.append(Int32(index)) }
        ring.remove(7)
        var order: [Int32] = []
        while let index = ring.popFirst() { order.append(index) }
        #expect(order == (1..<40).filter { $0 != 7 }.map { Int32($0) })
    }
}
