internal import ApusCore
internal import ApusCrypto
internal import ApusJSON

/// Makes CloudEvents of what people write: the lines of an events file, or data on the command line.
///
/// A line that is an object with `data`, `data_base64` or `specversion` is an event, and what it lacks is filled in: `id`,
/// `source`, `type`. Its member `key` is the event's key, and what `apus consume --output json` printed can be published again.
/// Any other JSON value is the data of an event.
struct EventLines {
    /// For events that say no other.
    var key: String?
    var type = "dev.apus.event"
    var source = "apus/publish"
    /// What made-up ids begin with, so that two runs never make the same.
    let idPrefix: String

    init(idPrefix: String = Random.token(bytes: 8)) { self.idPrefix = idPrefix }

    /// The event of a line, as JSON.
    /// - Parameter line: its number, from 1.
    /// - Throws: `invalid_event` or `invalid_json` with what is wrong; the caller says where.
    func event(_ text: [UInt8], line: Int) throws(ApusError) -> [UInt8] {
        let value = try JSONValue.parse(text)
        guard case .object(let object) = value,
            ["data", "data_base64", "specversion"].contains(where: { object[$0] != nil })
        else {
            return try self.event(data: value, line: line)
        }
        guard object["data"] == nil || object["data_base64"] == nil else {
            throw ApusError(.invalidEvent, "the event has both `data` and `data_base64`; keep one of them")
        }
        var event = object
        if let version = event["specversion"], version != "1.0" {
            throw ApusError(.invalidEvent, "`specversion` is \(Self.text(version)), expected \"1.0\"")
        }
        event["specversion"] = "1.0"
        try self.moveKey(of: &event)
        // Where `consume` found it says nothing of where it goes.
        for name in ["partition", "offset"] where event[name]?.integer != nil { event[name] = nil }
        for (name, standard) in [("id", "\(self.idPrefix)-\(line)"), ("source", self.source), ("type", self.type)] {
            switch event[name] {
            case nil: event[name] = .string(standard)
            case .string(let text) where !text.isEmpty: break
            case let other?:
                throw ApusError(.invalidEvent, "`\(name)` is \(Self.text(other)), expected a text that is not empty")
            }
        }
        if event["data"] != nil, event["datacontenttype"] == nil { event["datacontenttype"] = "application/json" }
        return JSONValue.object(event).encoded()
    }

    /// An event with this data.
    func event(data: JSONValue, line: Int) throws(ApusError) -> [UInt8] {
        try self.event(JSONValue.object(["data": data]).encoded(), line: line)
    }

    /// An event with data of any kind.
    func event(bytes: [UInt8], contentType: String, line: Int) throws(ApusError) -> [UInt8] {
        var event: JSONObject = ["specversion": "1.0", "datacontenttype": .string(contentType)]
        if contentType.hasPrefix("application/json") {
            event["data"] = try JSONValue.parse(bytes)
        } else if contentType.hasPrefix("text/"), let text = String(validating: bytes, as: UTF8.self) {
            event["data"] = .string(text)
        } else {
            event["data_base64"] = .string(Base64.encode(bytes))
        }
        return try self.event(JSONValue.object(event).encoded(), line: line)
    }

    /// `key` is no CloudEvents name of the key: `partitionkey` is.
    private func moveKey(of event: inout JSONObject) throws(ApusError) {
        let given = event["key"]
        event["key"] = nil
        if let given {
            guard event["partitionkey"] == nil else {
                throw ApusError(.invalidEvent, "the event has both `key` and `partitionkey`; keep one of them")
            }
            switch given {
            case .string(let text): event["partitionkey"] = .string(text)
            case .integer, .unsigned: event["partitionkey"] = .string(Self.text(given))
            case .null: break
            default: throw ApusError(.invalidEvent, "`key` is \(Self.text(given)), expected a text")
            }
        } else if event["partitionkey"] == nil, let key = self.key {
            event["partitionkey"] = .string(key)
        }
    }

    private static func text(_ value: JSONValue) -> String {
        String(decoding: value.encoded().prefix(80), as: UTF8.self)
    }
}
