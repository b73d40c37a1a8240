internal import ApusJSON

/// Parts of a result as the protocol has them, checked: what a function sends is not believed.
public struct ContentBlocks: Sendable, Equatable {
    /// What a function says with `application/vnd.apus.content+json`.
    public static let mediaType = "application/vnd.apus.content+json"

    /// Blocks, with commas between them.
    public var content: [UInt8]
    /// JSON; nil for none.
    public var structured: [UInt8]?
    public var isError: Bool

    public init(content: [UInt8], structured: [UInt8]? = nil, isError: Bool = false) {
        self.content = content
        self.structured = structured
        self.isError = isError
    }

    /// Why content is refused, a sentence.
    public struct Fault: Error, Equatable {
        public let why: String
    }

    /// Reads `{"content": [...], "structuredContent": ..., "isError": ...}`.
    /// - Parameter areMessages: of a prompt: each of `content` is `{"role": ..., "content": block}`.
    public init(parsing json: [UInt8], areMessages: Bool = false) throws(Fault) {
        var outcome: Result<ContentBlocks, Fault> = .failure(Fault(why: "it is no JSON"))
        json.withUnsafeBytes { text in
            guard let document = try? JSONSlices.document(text) else { return }
            do throws(Fault) {
                outcome = .success(try Self.read(document, text, areMessages))
            } catch { outcome = .failure(error) }
        }
        self = try outcome.get()
    }

    private static func read(
        _ document: JSONSlices.Value, _ text: UnsafeRawBufferPointer, _ areMessages: Bool
    ) throws(Fault) -> ContentBlocks {
        var list: JSONSlices.Value?
        var blocks = ContentBlocks(content: [])
        JSONSlices.forEachMember(of: document, in: text) { name, value in
            if name.isText("content") { list = value }
            if name.isText("structuredContent") { blocks.structured = Array(text[value.range]) }
            if name.isText("isError") { blocks.isError = text[value.range].elementsEqual("true".utf8) }
        }
        guard let list, list.kind == .array else { throw Fault(why: "`content` is missing or no list") }
        var elements: [JSONSlices.Value] = []
        JSONSlices.forEachElement(of: list, in: text) { elements.append($0) }
        for element in elements {
            if areMessages { try Self.checkMessage(element, text) } else { try Self.checkBlock(element, text) }
        }
        let inside = list.range.lowerBound + 1..<list.range.upperBound - 1
        blocks.content = elements.isEmpty ? [] : Array(text[inside])
        return blocks
    }

    private static func members(_ object: JSONSlices.Value, _ text: UnsafeRawBufferPointer) -> [String: JSONSlices
        .Value]
    {
        var members: [String: JSONSlices.Value] = [:]
        JSONSlices.forEachMember(of: object, in: text) { members[String(decoding: $0, as: UTF8.self)] = $1 }
        return members
    }

    private static func checkMessage(_ value: JSONSlices.Value, _ text: UnsafeRawBufferPointer) throws(Fault) {
        let message = Self.members(value, text)
        let role = message["role"].flatMap { JSONSlices.text(of: $0, in: text) }
        guard let content = message["content"], role == "user" || role == "assistant", message.count == 2 else {
            throw Fault(why: "a message has a role, user or assistant, and content")
        }
        try Self.checkBlock(content, text)
    }

    static func checkBlock(_ value: JSONSlices.Value, _ text: UnsafeRawBufferPointer) throws(Fault) {
        let block = Self.members(value, text)
        guard let type = block["type"].flatMap({ JSONSlices.text(of: $0, in: text) }) else {
            throw Fault(why: "a block of content has a type")
        }
        switch type {
        case "text": try Self.need(["text"], of: block, type)
        case "image", "audio":
            try Self.need(["data", "mimeType"], of: block, type)
            guard let data = block["data"], Self.isBase64(text[data.range].dropFirst().dropLast()) else {
                throw Fault(why: "the data of \(type) is no base64")
            }
        case "resource_link":
            try Self.need(["uri", "name"], of: block, type)
            try Self.allow(["title", "description", "mimeType"], .string, in: block, type)
            try Self.allow(["size"], .number, in: block, type)
        case "resource":
            guard let inner = block["resource"], inner.kind == .object else {
                throw Fault(why: "an embedded resource has a `resource`")
            }
            try Self.checkResource(Self.members(inner, text), text)
        default: throw Fault(why: "'\(type.prefix(32))' is no type of content")
        }
        try Self.allow(["_meta"], .object, in: block, type)
        if let annotations = block["annotations"] { try Self.checkAnnotations(annotations, text) }
    }

    /// What `resources/read` gives, and what a result embeds.
    static func checkResource(_ resource: [String: JSONSlices.Value], _ text: UnsafeRawBufferPointer) throws(Fault) {
        try Self.need(["uri"], of: resource, "a resource")
        try Self.allow(["mimeType", "text", "blob"], .string, in: resource, "a resource")
        guard (resource["text"] == nil) != (resource["blob"] == nil) else {
            throw Fault(why: "a resource has either `text` or `blob`")
        }
        if let blob = resource["blob"], !Self.isBase64(text[blob.range].dropFirst().dropLast()) {
            throw Fault(why: "the blob of a resource is no base64")
        }
    }

    private static func checkAnnotations(_ value: JSONSlices.Value, _ text: UnsafeRawBufferPointer) throws(Fault) {
        guard value.kind == .object else { throw Fault(why: "annotations are an object") }
        let annotations = Self.members(value, text)
        try Self.allow(["priority"], .number, in: annotations, "annotations")
        try Self.allow(["lastModified"], .string, in: annotations, "annotations")
        if let priority = annotations["priority"] {
            let number = Double(String(decoding: text[priority.range], as: UTF8.self)) ?? -1
            guard (0...1).contains(number) else { throw Fault(why: "a priority lies from 0 to 1") }
        }
        guard let audience = annotations["audience"] else { return }
        var isSound = audience.kind == .array
        JSONSlices.forEachElement(of: audience, in: text) {
            let role = JSONSlices.text(of: $0, in: text)
            isSound = isSound && (role == "user" || role == "assistant")
        }
        if !isSound { throw Fault(why: "an audience is a list of user and assistant") }
    }

    private static func need(_ names: [String], of block: [String: JSONSlices.Value], _ type: String) throws(Fault) {
        for name in names where block[name]?.kind != .string { throw Fault(why: "\(type) has `\(name)`, a string") }
    }

    private static func allow(
        _ names: [String], _ kind: JSONSlices.Kind, in block: [String: JSONSlices.Value], _ type: String
    ) throws(Fault) {
        for name in names {
            if let value = block[name], value.kind != kind {
                throw Fault(why: "`\(name)` of \(type) is of another kind")
            }
        }
    }

    private static func isBase64(_ digits: some Collection<UInt8>) -> Bool {
        digits.allSatisfy {
            switch $0 {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "="):
                true
            default: false
            }
        } && digits.count % 4 == 0
    }
}
