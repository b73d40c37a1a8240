internal import ApusJSON

/// Results of another server in the form that functions give theirs, so that one piece of code checks both.
extension UpstreamMessage {
    /// Of `prompts/get`: its messages as content.
    public static func messages(of result: [UInt8]) -> [UInt8] {
        result.withUnsafeBytes { text in
            let messages = Self.member("messages", in: text).map { Array(text[$0.range]) } ?? Array("null".utf8)
            return Array(#"{"content":"#.utf8) + messages + Array("}".utf8)
        }
    }

    /// Of `resources/read`: its contents as embedded resources.
    public static func contents(of result: [UInt8]) -> [UInt8] {
        result.withUnsafeBytes { text in
            var json = Array(#"{"content":["#.utf8)
            var isFirst = true
            guard let list = Self.member("contents", in: text), list.kind == .array else { return Array("{}".utf8) }
            JSONSlices.forEachElement(of: list, in: text) { resource in
                if !isFirst { json.append(UInt8(ascii: ",")) }
                isFirst = false
                json.append(contentsOf: #"{"type":"resource","resource":"#.utf8)
                json.append(contentsOf: text[resource.range])
                json.append(UInt8(ascii: "}"))
            }
            return json + Array("]}".utf8)
        }
    }

    /// Of `completion/complete`: the list of values.
    public static func values(of result: [UInt8]) -> [UInt8] {
        result.withUnsafeBytes { text in
            guard let completion = Self.member("completion", in: text) else { return [] }
            var values: [UInt8] = []
            JSONSlices.forEachMember(of: completion, in: text) {
                if $0.isText("values") { values = Array(text[$1.range]) }
            }
            return values
        }
    }

    private static func member(_ wanted: StaticString, in text: UnsafeRawBufferPointer) -> JSONSlices.Value? {
        guard let document = try? JSONSlices.document(text), document.kind == .object else { return nil }
        var found: JSONSlices.Value?
        JSONSlices.forEachMember(of: document, in: text) { if $0.isText(wanted) { found = $1 } }
        return found
    }
}
