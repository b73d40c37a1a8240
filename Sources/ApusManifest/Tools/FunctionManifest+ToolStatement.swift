internal import ApusCore
internal import ApusJSON

extension FunctionManifest {
    /// What agents are told of the function's tool, in one form: what is signed, and what is compared. Nil where there is no tool, or its
    /// schemas were not read from their files.
    public var toolStatement: [UInt8]? {
        guard let tool = self.tool, let input = tool.input.text else { return nil }
        if let output = tool.output, output.text == nil { return nil }
        var writer = JSONWriter(capacity: input.count + 512)
        writer.beginObject()
        writer.member("statement", "apus tool 1")
        writer.member("function", "\(self.name.namespace)/\(self.name.name)")
        writer.member("name", tool.name)
        if let title = tool.title { writer.member("title", title) }
        if let about = self.about { writer.member("description", about) }
        writer.key("input")
        writer.raw(input)
        if let output = tool.output?.text {
            writer.key("output")
            writer.raw(output)
        }
        writer.key("annotations")
        writer.beginObject()
        let hints = tool.annotations
        for case (let name, let hint?) in [
            ("readOnly", hints.readOnly), ("destructive", hints.destructive), ("idempotent", hints.idempotent),
            ("openWorld", hints.openWorld),
        ] { writer.member(name, hint) }
        writer.endObject()
        writer.endObject()
        return writer.bytes
    }
}
