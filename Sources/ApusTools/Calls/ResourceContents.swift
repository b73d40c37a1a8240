internal import ApusJSON

/// What a function says a resource holds: `{"content": [{"type": "resource", "resource": {...}}, ...]}`.
public enum ResourceContents {
    /// The resources inside, with commas between them.
    public static func parse(_ json: [UInt8]) throws(ContentBlocks.Fault) -> [UInt8] {
        let blocks = try ContentBlocks(parsing: json)
        var contents: [UInt8] = []
        var isSound = true
        let list = [UInt8(ascii: "[")] + blocks.content + [UInt8(ascii: "]")]
        list.withUnsafeBytes { text in
            guard let document = try? JSONSlices.document(text) else { return }
            JSONSlices.forEachElement(of: document, in: text) { block in
                var resource: JSONSlices.Value?
                JSONSlices.forEachMember(of: block, in: text) { if $0.isText("resource") { resource = $1 } }
                guard let resource else {
                    isSound = false
                    return
                }
                if !contents.isEmpty { contents.append(UInt8(ascii: ",")) }
                contents.append(contentsOf: text[resource.range])
            }
        }
        guard isSound, !contents.isEmpty else { throw ContentBlocks.Fault(why: "a resource is given as embedded ones") }
        return contents
    }
}
