internal import ApusCore
internal import ApusCrypto
internal import ApusHTTP
internal import ApusJSON
internal import ApusStore

/// Writes an event for whoever asks for it: as a structured CloudEvent, or as the headers of the binary mode.
enum CloudEventEncoder {
    /// Where a record lies; written as extensions.
    struct Place {
        var partition: Int
        var offset: Offset
    }

    /// What this encoder writes itself: an attribute of that name would make a second member.
    private static let own: Set<String> = CloudEventContext.places.union([
        CloudEventContext.keyName, "specversion", "data", "data_base64",
    ])

    /// Data nested deeper than this goes as base64: around it are the event and an array of events, which are bounded too.
    private static let dataDepth = Limits.JSON.depth - 2

    /// A record of a topic.
    /// - Parameter headers: also writes the plain headers of the record, as an object `apusheaders`.
    static func json(_ event: Event, partition: Int, offset: Offset, headers: Bool = false) -> [UInt8] {
        let place = Place(partition: partition, offset: offset)
        return self.json(event, self.defaults(place), place, headers: headers)
    }

    /// An event that is no record, with what it lacks.
    static func json(_ event: Event, _ defaults: CloudEventDecoder.Defaults) -> [UInt8] {
        self.json(event, defaults, nil, headers: false)
    }

    /// A record of a topic as the headers of the binary mode, `Content-Type` aside.
    static func headers(_ event: Event, _ place: Place) -> [(String, String)] {
        self.headers(event, self.defaults(place), place)
    }

    /// As headers of the binary mode, `Content-Type` aside, with what the event lacks.
    static func headers(_ event: Event, _ defaults: CloudEventDecoder.Defaults, _ place: Place? = nil)
        -> [(String, String)]
    {
        let attributes = self.attributes(of: event, defaults, place).filter { $0.name != "datacontenttype" }
        return [("ce-specversion", "1.0")]
            + attributes.map { attribute in
                let text = attribute.kind == .binary ? Base64.encode(attribute.value) : attribute.text
                return ("ce-\(attribute.name)", HeaderValue.encode(text))
            }
    }

    /// Whether an answer's head has room for them.
    static func isSendable(_ headers: [(String, String)]) -> Bool {
        headers.reduce(0) { $0 + $1.0.utf8.count + $1.1.utf8.count + 4 } <= Limits.Server.eventHeaderBytes
    }

    private static func defaults(_ place: Place) -> CloudEventDecoder.Defaults {
        // A record that no CloudEvents producer wrote is one all the same.
        CloudEventDecoder.Defaults(
            id: "partition:\(place.partition)/offset:\(place.offset)", source: "/apus", type: "dev.apus.record")
    }

    private static func json(
        _ event: Event, _ defaults: CloudEventDecoder.Defaults, _ place: Place?, headers: Bool
    ) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("specversion", "1.0")
        for attribute in self.attributes(of: event, defaults, place) { Self.attribute(attribute, &writer) }
        if headers { Self.headers(event, &writer) }
        Self.data(event, &writer)
        writer.endObject()
        return writer.bytes
    }

    /// Everything but `specversion` and the data: what the event says, then what it lacks, its key and its place.
    private static func attributes(
        of event: Event, _ defaults: CloudEventDecoder.Defaults, _ place: Place?
    ) -> [Attribute] {
        var attributes: [Attribute] = []
        var written: Set<String> = []
        // Functions may say an attribute twice, and name it as they like; readers of JSON disagree on what the former means,
        // and CloudEvents know nothing of the latter.
        for attribute in event.attributes where attribute.kind != .header && !Self.own.contains(attribute.name) {
            guard CloudEventContext.isName(attribute.name), !attribute.value.isEmpty || !Self.mustSay(attribute.name),
                written.insert(attribute.name).inserted
            else { continue }
            attributes.append(attribute)
        }
        for (name, value) in [("id", defaults.id), ("source", defaults.source), ("type", defaults.type)]
        where !written.contains(name) {
            attributes.append(Attribute(name, value))
        }
        if !written.contains("time"), event.timestamp != .zero {
            attributes.append(Attribute("time", RFC3339.format(event.timestamp)))
        }
        if let key = event.key, let attribute = Self.key(key, event) { attributes.append(attribute) }
        if let place {
            attributes.append(Attribute("apuspartition", "\(place.partition)", kind: .integer))
            attributes.append(Attribute("apusoffset", "\(place.offset)", kind: .integer))
        }
        return attributes
    }

    private static func mustSay(_ name: String) -> Bool { CloudEventContext.defined.contains(name) }

    /// As `partitionkey` where that can hold it and says nothing else, so that an event that is sent again keeps its key.
    private static func key(_ key: [UInt8], _ event: Event) -> Attribute? {
        if let own = event.attributes.first(where: { $0.name == "partitionkey" && $0.kind != .header }) {
            return own.value == key ? nil : Attribute(CloudEventContext.keyName, Base64.encode(key))
        }
        if !key.isEmpty, let text = String(validating: key, as: UTF8.self), CloudEventContext.isAllowed(text) {
            return Attribute("partitionkey", text)
        }
        return Attribute(CloudEventContext.keyName, Base64.encode(key))
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
        // It lies elsewhere: none is not the same as an empty one.
        if data.isEmpty, BlobReference(event.attributes) != nil { return }
        let media = event["datacontenttype"].flatMap { MediaType(parsing: $0) }
        if let media, media.isJSON, Self.isJSON(data) {
            writer.key("data")
            writer.raw(data)
        } else if let media, media.type == "text", !media.isJSON, media.isUTF8,
            let text = String(validating: data, as: UTF8.self)
        {
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
