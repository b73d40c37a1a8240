internal import ApusCore
internal import ApusJSON
internal import ApusTools

/// One record of `apus.calls`.
struct CallRecord: Sendable, Equatable {
    var node: String
    /// As ``CallLimits`` names it.
    var caller: String
    var count: CallCount

    init(node: String, caller: String, count: CallCount) {
        self.node = node
        self.caller = caller
        self.count = count
    }

    private static let type = "dev.apus.calls.v1"

    /// Names of nodes have no line breaks.
    private static func key(_ node: String, _ caller: String) -> [UInt8] { Array("\(node)\n\(caller)".utf8) }

    var event: Event {
        Event(
            key: Self.key(self.node, self.caller), attributes: [Attribute("type", Self.type)],
            data: JSONValue.object([
                "day": .integer(self.count.day), "today": .integer(self.count.today),
                "running": .integer(self.count.running), "spent": .integer(self.count.spent.billionths),
            ]).encoded())
    }

    static func tombstone(_ node: String, _ caller: String) -> Event {
        Event(key: Self.key(node, caller), data: nil)
    }

    /// - Returns: nil for what is none, tombstones among it.
    init?(_ event: Event) {
        guard event["type"] == Self.type, let key = event.key, let end = key.firstIndex(of: UInt8(ascii: "\n")),
            let data = event.data, let json = try? JSONValue.parse(data), let day = json["day"]?.integer,
            let today = json["today"]?.integer, let running = json["running"]?.integer, today >= 0, running >= 0,
            // A server of before says nothing of it.
            let spent = (json["spent"] ?? 0).integer, spent >= 0
        else { return nil }
        self.init(
            node: String(decoding: key[..<end], as: UTF8.self),
            caller: String(decoding: key[(end + 1)...], as: UTF8.self),
            count: CallCount(day: day, today: today, running: running, spent: Money(billionths: spent)))
    }
}
