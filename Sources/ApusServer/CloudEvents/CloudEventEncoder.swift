internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusStore

/// Writes a record as a structured CloudEvent, with its place as extensions.
enum CloudEventEncoder {
    /// What this encoder writes itself: an attribute of that name would make a second member.
    private static let own: Set<String> = CloudEventContext.places.union([
        CloudEventContext.keyName, "specversion", "data", "data_base64",
    ])

    /// Data nested deeper than this goes as base64: around it are the event and an array of events, which are bounded too.
    private static let dataDepth = Limits.JSON.depth - 2

    /// - Parameter headers: also writes the plain headers of the record, as an object `apusheaders`.
    static func json(_ event: Event, partition: Int, offset: Offset, headers: Bool = false) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("specversion", "1.0")
        var written: Set<String> = []
        // Functions may say an attribute twice; readers of JSON disagree on what that means.
        for attribute in event.attributes where attribute.kind != .header && !Self.own.contains(attribute.name) {
            if written.insert(attribute.name).inserted { Self.attribute(attribute, &writer) }
        }
        // A record that no CloudEvents producer wrote is one all the same.
        if !written.contains("id") { writer.member("id", "partition:\(partition)/offset:\(offset)") }
        if !written.contains("source") { writer.member("source", "/apus") }
        if !written.contains("type") { writer.member("type", "dev.apus.record") }
        if !written.contains("time") { writer.member("time", RFC3339.format(event.timestamp)) }
        if let key = event.key { Self.key(key, event, &writer) }
        writer.member("apuspartition", partition)
        writer.member("apusoffset", Int(offset))
        if headers { Self.headers(event, &writer) }
        Self.data(event, &writer)
        writer.endObject()
        return writer.bytes
    }

    /// As `partitionkey` where that can hold it and says nothing else, so that an event that is sent again keeps its key.
    private static func key(_ key: [UInt8], _ event: Event, _ writer: inout JSONWriter) {
        if let own = event.attributes.first(where: { $0.name == "partitionkey" && $0.kind != .header }) {
            if own.value != key { writer.member(CloudEventContext.keyName, Base64.encode(key)) }
        } else if !key.isEmpty, let text = String(validating: key, as: UTF8.self), CloudEventContext.isAllowed(text) {
            writer.member("partitionkey", text)
        } else {
            writer.member(CloudEventContext.keyName, Base64.encode(key))
        }
    }

    private static func attribute(_ attribute: Attribute, _ writer: inout JSONWriter) {
        switch attribute.kind {
        case .boolean where attribute.text == "true" || attribute.text == "false":
            writer.member(attribute.name, attribute.text == "true")
        case .binary: writer.member(attribute.name, Base64.encode(attribute.value))
        case .integer:
            guard let number = Int(attribute.text) else { return writer.member(attribute.name, attribute.text) }
            writer.member(attribute.name, number)
        default: writer.member(attribute.name, attribute.text)
        }
    }

    private static func headers(_ event: Event, _ writer: inout JSONWriter) {
        writer.key("apusheaders")
        writer.beginObject()
        for attribute in event.attributes where attribute.kind == .header {
            writer.member(attribute.name, attribute.text)
        }
        writer.endObject()
    }

    /// JSON as it is, text as a string, everything else as base64. A tombstone has no data, which is not the same as `null`.
    private static func data(_ event: Event, _ writer: inout JSONWriter) {
        guard let data = event.data else { return }
        let media = event["datacontenttype"].flatMap { MediaType(parsing: $0) }
        if let media, media.isJSON, Self.isJSON(data) {
            writer.key("data")
            writer.raw(data)
        } else if let media, media.type == "text", !media.isJSON, let text = String(validating: data, as: UTF8.self) {
            writer.member("data", text)
        } else {
            writer.member("data_base64", Base64.encode(data))
        }
    }

    private static func isJSON(_ data: [UInt8]) -> Bool {
        data.withUnsafeBytes { bytes in
            do throws(JSONSyntaxError) {
                try JSONChecker.check(bytes, depth: Self.dataDepth)
                return true
            } catch { return false }
        }
    }
}
