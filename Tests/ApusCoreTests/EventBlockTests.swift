import ApusCore
import ApusTestSupport
import Testing

@Suite struct EventBlockTests {
    private static func random(_ generator: inout SeededGenerator) -> Event {
        let kinds: [Attribute.Kind] = [.string, .boolean, .integer, .binary, .uri, .uriReference, .timestamp, .header]
        let attributes = (0..<Int.random(in: 0...6, using: &generator)).map { index in
            Attribute(
                "name\(index)", bytes: generator.bytes(Int.random(in: 0...40, using: &generator)),
                kind: kinds[Int.random(in: 0..<kinds.count, using: &generator)]
            )
        }
        return Event(
            key: Bool.random(using: &generator) ? generator.bytes(Int.random(in: 0...30, using: &generator)) : nil,
            attributes: attributes,
            data: Int.random(in: 0..<8, using: &generator) == 0
                ? nil : generator.bytes(Int.random(in: 0...300, using: &generator)),
            timestamp: Timestamp(microseconds: Int64.random(in: 0...Int64.max, using: &generator))
        )
    }

    @Test func anEventComesBackAsItWas() throws {
        var generator = SeededGenerator(seed: 11)
        for _ in 0..<2_000 {
            let event = EventBlockTests.random(&generator)
            let bytes = EventBlock.encode(event)
            #expect(bytes.count == EventBlock.size(of: event))
            #expect(try EventBlock.decode(bytes.span.bytes) == event)
        }
    }

    @Test func nullDataIsNotEmptyData() throws {
        let tombstone = try EventBlock.decode(EventBlock.encode(Event(key: [1], data: nil)).span.bytes)
        #expect(tombstone.data == nil)
        let empty = try EventBlock.decode(EventBlock.encode(Event(key: [], data: [])).span.bytes)
        #expect(empty.data == [])
        #expect(empty.key == [])
    }

    @Test func everyPrefixIsRefusedOrSaysThatDataIsMissing() throws {
        let event = Event(key: [1, 2], attributes: [Attribute("type", "t")], data: [1, 2, 3, 4, 5])
        let bytes = EventBlock.encode(event)
        for count in 0..<bytes.count {
            let prefix = Array(bytes[..<count])
            #expect(throws: FrameError.self) { _ = try EventBlock.decode(prefix.span.bytes) }
        }
        let layout = try EventLayout(parsing: Array(bytes.dropLast(2)).span.bytes)
        #expect(layout.dataCount == 5)
        #expect(layout.data.count == 3)
        var longer = bytes
        longer.append(0)
        #expect(throws: FrameError.malformed) { _ = try EventLayout(parsing: longer.span.bytes) }
    }

    @Test func bytesThatContradictThemselvesAreRefused() throws {
        let sound = EventBlock.encode(Event(key: [1], attributes: [Attribute("a", "b")], data: [9]))
        func changed(_ offset: Int, _ value: UInt8) -> [UInt8] {
            var bytes = sound
            bytes[offset] = value
            return bytes
        }
        #expect(throws: FrameError.malformed) { _ = try EventLayout(parsing: changed(20, 8).span.bytes) }
        #expect(throws: FrameError.malformed) { _ = try EventLayout(parsing: changed(20, 1).span.bytes) }
        #expect(throws: FrameError.tooLarge) { _ = try EventLayout(parsing: changed(10, 2).span.bytes) }
        #expect(throws: FrameError.tooLarge) { _ = try EventLayout(parsing: changed(14, 2).span.bytes) }
        #expect(throws: FrameError.tooLarge) { _ = try EventLayout(parsing: changed(19, 2).span.bytes) }
        // An attribute longer than all of them.
        #expect(throws: FrameError.malformed) { _ = try EventBlock.decode(changed(25, 200).span.bytes) }
        // An attribute without a name.
        #expect(throws: FrameError.malformed) { _ = try EventBlock.decode(changed(25, 0).span.bytes) }
        // A kind that there is not.
        #expect(throws: FrameError.malformed) { _ = try EventBlock.decode(changed(26, 99).span.bytes) }
    }

    @Test func randomBytesNeverTrap() {
        var generator = SeededGenerator(seed: 12)
        var decoded = 0
        for _ in 0..<100_000 {
            var bytes = EventBlock.encode(
                Event(key: [1, 2, 3], attributes: [Attribute("type", "t"), Attribute("id", "1")], data: [1, 2, 3]))
            for _ in 0..<Int.random(in: 0...4, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            if Bool.random(using: &generator) { bytes.removeLast(Int.random(in: 0...bytes.count, using: &generator)) }
            if (try? EventBlock.decode(bytes.span.bytes)) != nil { decoded += 1 }
        }
        #expect(decoded > 1_000)
    }

    @Test func limitsHoldAtTheirBounds() {
        func code(_ event: Event) -> ErrorCode? {
            do throws(ApusError) {
                try EventBlock.check(event)
                return nil
            } catch {
                return error.code
            }
        }
        #expect(code(Event(key: Array(repeating: 0, count: Limits.keyBytes), data: [])) == nil)
        #expect(code(Event(key: Array(repeating: 0, count: Limits.keyBytes + 1), data: [])) == .eventTooLarge)
        let many = (0..<Limits.attributesPerEvent).map { Attribute("a\($0)", "") }
        #expect(code(Event(attributes: many, data: [])) == nil)
        #expect(code(Event(attributes: many + [Attribute("b", "")], data: [])) == .eventTooLarge)
        #expect(code(Event(attributes: [Attribute(String(repeating: "n", count: 255), "")], data: [])) == nil)
        #expect(
            code(Event(attributes: [Attribute(String(repeating: "n", count: 256), "")], data: [])) == .eventTooLarge)
        #expect(code(Event(attributes: [Attribute("", "")], data: [])) == .eventTooLarge)
        let large = Array(repeating: UInt8(0), count: Limits.attributesBytes / 2)
        #expect(
            code(
                Event(
                    attributes: [
                        Attribute("a", bytes: large, kind: .binary), Attribute("b", bytes: large, kind: .binary),
                    ], data: [])) == .eventTooLarge)
        #expect(code(Event(data: Array(repeating: 0, count: Limits.eventBytes - EventBlock.headBytes))) == nil)
        #expect(
            code(Event(data: Array(repeating: 0, count: Limits.eventBytes - EventBlock.headBytes + 1)))
                == .eventTooLarge)
    }

    @Test func attributesAreFoundByName() {
        var event = Event(attributes: [Attribute("type", "h", kind: .header), Attribute("type", "t")], data: nil)
        #expect(event["type"] == "t")
        #expect(event["none"] == nil)
        event["type"] = "u"
        event["subject"] = "s"
        #expect(event["type"] == "u")
        #expect(event.attributes.count == 3, "headers stay")
        event["type"] = nil
        #expect(event["type"] == nil)
    }
}
