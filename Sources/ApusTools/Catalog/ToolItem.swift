internal import ApusCrypto
internal import ApusJSON
internal import ApusManifest

/// What `tools/list` says about a tool.
struct ToolItem {
    let name: ToolName
    let title: String?
    let description: String?
    let inputSchema: [UInt8]
    let outputSchema: [UInt8]?
    let annotations: ToolManifest.Annotations

    /// Names the content: agents and people see when a tool is no longer what they agreed to.
    var digest: String { Hex.encode(SHA256.hash(self.encoded(digest: nil))) }

    /// - Parameter digest: nil for the canonical form, which the digest is of.
    func encoded(digest: String?) -> [UInt8] {
        var writer = JSONWriter(
            capacity: self.inputSchema.count + (self.outputSchema?.count ?? 0) + (self.description?.utf8.count ?? 0)
                + 256)
        writer.beginObject()
        writer.member("name", self.name.text)
        if let title = self.title { writer.member("title", title) }
        if let description = self.description { writer.member("description", description) }
        writer.key("inputSchema")
        writer.raw(self.inputSchema)
        if let output = self.outputSchema {
            writer.key("outputSchema")
            writer.raw(output)
        }
        self.writeAnnotations(to: &writer)
        if let digest {
            writer.key("_meta")
            writer.beginObject()
            writer.member(ToolCatalog.digestKey, digest)
            writer.endObject()
        }
        writer.endObject()
        return writer.bytes
    }

    private func writeAnnotations(to writer: inout JSONWriter) {
        let hints: [(String, Bool?)] = [
            ("readOnlyHint", self.annotations.readOnly), ("destructiveHint", self.annotations.destructive),
            ("idempotentHint", self.annotations.idempotent), ("openWorldHint", self.annotations.openWorld),
        ]
        guard hints.contains(where: { $0.1 != nil }) else { return }
        writer.key("annotations")
        writer.beginObject()
        for case (let name, let value?) in hints { writer.member(name, value) }
        writer.endObject()
    }
}
