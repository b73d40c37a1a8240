import ApusCore
import Testing

@Suite struct NameTests {
    @Test(arguments: [
        // The vectors of Kafka's own test of its Java client.
        ("21", -973_932_308), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
    ])
    func murmur2IsThatOfJava(text: String, expected: Int) {
        let hash = Array(text.utf8).withUnsafeBytes { Murmur2.hash($0) }
        #expect(Int32(bitPattern: hash) == Int32(expected))
        let partition = Array(text.utf8).withUnsafeBytes { Murmur2.partition(of: $0, among: 7) }
        #expect(partition == Int(Int32(expected) & 0x7FFF_FFFF) % 7)
    }

    @Test func everyByteOfAKeyCounts() {
        for count in 1...9 {
            let key = Array(repeating: UInt8(1), count: count)
            let hash = key.withUnsafeBytes { Murmur2.hash($0) }
            for index in 0..<count {
                var other = key
                other[index] = 200
                #expect(other.withUnsafeBytes { Murmur2.hash($0) } != hash)
            }
        }
    }

    @Test func labelsAreLowerCaseWordsOfBoundedLength() {
        for name in ["a", "a-b", "0", "embed-text-2", String(repeating: "x", count: Limits.labelBytes)] {
            #expect(isLabel(name), "\(name)")
        }
        for name in [
            "", "-a", "a-", "A", "a.b", "a_b", "a b", "ä", String(repeating: "x", count: Limits.labelBytes + 1),
        ] {
            #expect(!isLabel(name), "\(name)")
        }
    }

    @Test func topicsHaveTheirNamespaceInTheirName() throws {
        let team = try #require(Namespace("team"))
        #expect(TopicName(.default, "orders")?.onLog == "orders")
        let topic = try #require(TopicName(team, "orders.eu"))
        #expect(topic.onLog == "ns.team.orders.eu")
        let local = try #require(topic.local)
        #expect(local.namespace == team)
        #expect(local.name == "orders.eu")
        #expect(TopicName.control.local == nil)
        #expect(TopicName.control.isControl)
        #expect(ResourceName(.default, "f")?.description == "f")
        #expect(ResourceName(team, "f")?.description == "team/f")
    }

    @Test func reservedAndMalformedTopicsAreRefused() {
        for name in [
            "apus.control", "ns.a.b", "", ".", "..", "a b", "ü",
            String(repeating: "t", count: Limits.topicNameBytes + 1),
        ] {
            #expect(TopicName(.default, name) == nil, "\(name)")
        }
        #expect(TopicName(.default, String(repeating: "t", count: Limits.topicNameBytes)) != nil)
        #expect(TopicName(onLog: "apus.control") == .control)
        #expect(TopicName(onLog: "a/b") == nil)
        // With its namespace the name would be too long for the log.
        let long = String(repeating: "t", count: Limits.topicNameBytes - 5)
        #expect(Namespace("team").flatMap { TopicName($0, long) } == nil)
    }

    @Test func invocationsAreWrittenAsDigits() {
        let id = InvocationID(high: 1, low: .max)
        #expect(id.description == "0000000000000001ffffffffffffffff")
        #expect(InvocationID(id.description) == id)
        for text in [
            "", "1", "+000000000000001ffffffffffffffff", "0000000000000001fffffffffffffffg", id.description + "0",
        ] {
            #expect(InvocationID(text) == nil, "\(text)")
        }
    }
}
