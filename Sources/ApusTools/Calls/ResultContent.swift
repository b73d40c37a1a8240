internal import ApusCore
internal import ApusCrypto
internal import ApusJSON

/// Turns what a function returned into parts of a result, by its media type.
public enum ResultContent {
    /// - Parameters:
    ///   - type: `datacontenttype` of what it returned; nil for none.
    ///   - data: nil for nothing.
    ///   - hasOutputSchema: JSON is structured content then, whatever it is.
    ///   - name: of what an embedded resource is called where it has no name of its own.
    public static func blocks(
        type: String?, data: [UInt8]?, hasOutputSchema: Bool, name: String
    ) throws(ContentBlocks.Fault) -> ContentBlocks {
        guard let data else {
            return ContentBlocks(content: [], structured: hasOutputSchema ? Array("null".utf8) : nil)
        }
        let essence = (type ?? "application/octet-stream").prefix { $0 != ";" }.filter { $0 != " " }.lowercased()
        if essence == ContentBlocks.mediaType {
            var blocks = try ContentBlocks(parsing: data)
            blocks.content = JSONCleaner.clean(blocks.content)
            blocks.structured = blocks.structured.map(JSONCleaner.clean)
            return blocks
        }
        if essence == "application/json" || essence.hasSuffix("+json") { return Self.json(data, hasOutputSchema) }
        if essence.hasPrefix("image/") || essence.hasPrefix("audio/") {
            return ContentBlocks(content: Self.media(essence.hasPrefix("image/") ? "image" : "audio", essence, data))
        }
        if essence.hasPrefix("text/") || essence == "application/x-ndjson",
            let text = String(validating: data, as: UTF8.self)
        {
            return ContentBlocks(content: Self.text(text))
        }
        return ContentBlocks(content: Self.embedded(essence, data, name))
    }

    /// A text says what it says; every other value is structured, with its text beside it for clients that know no more.
    private static func json(_ data: [UInt8], _ hasOutputSchema: Bool) -> ContentBlocks {
        let clean = JSONCleaner.clean(data)
        if !hasOutputSchema {
            let said = clean.withUnsafeBytes { text in
                (try? JSONSlices.document(text)).flatMap { JSONSlices.text(of: $0, in: text) }
            }
            if let said { return ContentBlocks(content: Self.text(said)) }
        }
        return ContentBlocks(content: Self.text(String(decoding: clean, as: UTF8.self)), structured: clean)
    }

    /// One block of text.
    public static func text(_ text: String) -> [UInt8] {
        var text = text
        return text.withUTF8 { self.text(utf8: UnsafeRawBufferPointer($0)) }
    }

    /// The same of text of ours, which is UTF-8.
    public static func text(utf8 text: UnsafeRawBufferPointer) -> [UInt8] {
        var json: [UInt8] = []
        json.reserveCapacity(text.count + text.count / 8 + 64)
        json.append(contentsOf: #"{"type":"text","text":"#.utf8)
        JSONText.append(utf8: text, to: &json)
        json.append(UInt8(ascii: "}"))
        return JSONCleaner.clean(json)
    }

    private static func media(_ kind: String, _ type: String, _ data: [UInt8]) -> [UInt8] {
        var json = Array(#"{"type":"\#(kind)","data":""#.utf8)
        json.append(contentsOf: Base64.encode(data).utf8)
        json.append(contentsOf: #"","mimeType":"#.utf8)
        JSONText.append(type, to: &json)
        json.append(UInt8(ascii: "}"))
        return json
    }

    private static func embedded(_ type: String, _ data: [UInt8], _ name: String) -> [UInt8] {
        var json = Array(#"{"type":"resource","resource":"#.utf8)
        json.append(contentsOf: self.resource(uri: "apus://result/\(name)", type: type, data: data))
        json.append(UInt8(ascii: "}"))
        return json
    }

    /// What `resources/read` says of data: text where it is some, else base64.
    public static func resource(uri: String, type: String?, data: [UInt8]) -> [UInt8] {
        var json = Array(#"{"uri":"#.utf8)
        JSONText.append(uri, to: &json)
        if let type {
            json.append(contentsOf: #","mimeType":"#.utf8)
            JSONText.append(type, to: &json)
        }
        if Self.isText(type), let text = String(validating: data, as: UTF8.self) {
            json.append(contentsOf: #","text":"#.utf8)
            JSONText.append(text, to: &json)
            json = JSONCleaner.clean(json)
        } else {
            json.append(contentsOf: #","blob":""#.utf8)
            json.append(contentsOf: Base64.encode(data).utf8)
            json.append(UInt8(ascii: "\""))
        }
        json.append(UInt8(ascii: "}"))
        return json
    }

    private static func isText(_ type: String?) -> Bool {
        guard let essence = type?.prefix(while: { $0 != ";" }).lowercased() else { return false }
        return essence.hasPrefix("text/") || essence.hasSuffix("json") || essence.hasSuffix("xml")
            || essence.hasSuffix("yaml") || essence == "application/javascript"
    }
}
