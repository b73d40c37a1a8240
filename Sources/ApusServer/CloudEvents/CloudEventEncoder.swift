internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusStore

/// Writes a record as a structured CloudEvent, with its place as extensions.
enum CloudEventEncoder {
    /// - Parameter headers: also writes the plain headers of the record, as an object `apusheaders`.
    static func json(_ event: Event, partition: Int, offset: Offset, headers: Bool = false) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("specversion", "1.0")
        for attribute in event.attributes where attribute.kind != .header {
            switch attribute.kind {
            case .boolean: writer.member(attribute.name, attribute.text == "true")
            case .integer: writer.member(attribute.name, Int(attribute.text) ?? 0)
            case .binary: writer.member(attribute.name, Base64.encode(attribute.value))
            default: writer.member(attribute.name, attribute.text)
            }
        }
        // A record that no CloudEvents producer wrote is one all the same.
        if event["id"] == nil { writer.member("id", "partition:\(partition)/offset:\(offset)") }
        if event["source"] == nil { writer.member("source", "/apus") }
        if event["type"] == nil { writer.member("type", "dev.apus.record") }
        if event["time"] == nil { writer.member("time", RFC3339.format(event.timestamp)) }
        if let key = event.key, event["partitionkey"] == nil { writer.member("partitionkey", String(decoding: key, as: UTF8.self)) }
        writer.member("apuspartition", partition)
        writer.member("apusoffset", Int(offset))
        if headers { Self.headers(event, &writer) }
        Self.data(event, &writer)
        writer.endObject()
        return writer.bytes
    }

    private static func headers(_ event: Event, _ writer: inout JSONWriter) {
        writer.key("apusheaders")
        writer.beginObject()
        for attribute in event.attributes where attribute.kind == .header { writer.member(attribute.name, attribute.text) }
        writer.endObject()
    }

    private static func data(_ event: Event, _ writer: inout JSONWriter) {
        guard let data = event.data else {
            writer.key("data")
            writer.null()
            return
        }
        let isJSON = event["datacontenttype"].flatMap { MediaType(parsing: $0)?.isJSON } ?? false
        let isValid = isJSON && data.withUnsafeBytes { bytes in
            do throws(JSONSyntaxError) {
                try JSONChecker.check(bytes)
                return true
            } catch { return false }
        }
        if isValid {
            writer.key("data")
            writer.raw(data)
        } else {
            writer.member("data_base64", Base64.encode(data))
        }
    }
}
