internal import ApusCore
internal import ApusEngine
internal import ApusJSON
internal import ApusManifest
internal import ApusSchema
internal import ApusTools

/// What became of a call of a tool, as the members of its result: the same words whether its caller waited, comes again, or asks for a task.
struct ToolResultForm {
    let endpoint: ToolEndpoint
    /// Nil for one that is not deployed any more.
    let tool: Tool?
    let era: Era
    let invocation: String
    /// A function made the call: it takes what is too much for a model.
    var isForFunction = false
    /// Keeps what is too large to be sent; says where its caller can read it.
    let keep: (_ data: [UInt8], _ type: String) -> String

    /// Of what the function returned.
    func members(_ type: String?, _ data: [UInt8]?) -> [UInt8] {
        let blocks: ContentBlocks
        do throws(ContentBlocks.Fault) {
            blocks = try ResultContent.blocks(
                type: type, data: data, hasOutputSchema: self.tool?.outputSchema != nil, name: self.invocation)
        } catch {
            return ToolCall.refusal("The tool returned content that cannot be passed on: \(error.why)")
        }
        if !blocks.isError, let problem = self.problem(with: blocks) { return ToolCall.refusal(problem) }
        let size = blocks.content.count + (blocks.structured?.count ?? 0)
        if self.isForFunction {
            guard size <= Limits.Tools.innerResultBytes else {
                return ToolCall.refusal(
                    "The result has \(size) bytes; a function that calls is given at most \(Limits.Tools.innerResultBytes).")
            }
        } else if size > Int(self.tool?.maxResult ?? Limits.ToolEndpoint.resultBytes) {
            return self.large(blocks, type, data ?? [])
        }
        return self.members(blocks.content, blocks.structured, blocks.isError)
    }

    private func members(_ content: [UInt8], _ structured: [UInt8]?, _ isError: Bool) -> [UInt8] {
        var members: [UInt8] = []
        members.reserveCapacity(content.count + (structured?.count ?? 0) + 64)
        members.append(contentsOf: #""content":["#.utf8)
        members.append(contentsOf: content)
        members.append(UInt8(ascii: "]"))
        // Before 2026-07-28 it is an object.
        if let structured, self.era == .modern || structured.first == UInt8(ascii: "{") {
            members.append(contentsOf: #","structuredContent":"#.utf8)
            members.append(contentsOf: structured)
        }
        members.append(contentsOf: (isError ? #","isError":true"# : #","isError":false"#).utf8)
        return members
    }

    /// What of a result breaks the tool's own promise.
    private func problem(with blocks: ContentBlocks) -> String? {
        guard let tool, tool.outputSchema != nil else { return nil }
        guard let structured = blocks.structured else {
            return "The tool promises structured content and returned none."
        }
        let runtime = self.endpoint.runtime
        do throws(SchemaError) {
            guard let schema = try runtime.tools.schemas(of: tool).output else { return nil }
            let violations = structured.withUnsafeBytes { bytes -> [SchemaViolation] in
                do throws(ApusError) { return try runtime.parser.parse(bytes) { schema.check($0) } } catch {
                    return [SchemaViolation("", "", error.message)]
                }
            }
            guard !violations.isEmpty else { return nil }
            let lines = violations.map { "\($0.pointer.isEmpty ? "(result)" : $0.pointer): \($0.message)" }
            return "The tool's result does not fit its own schema:\n" + lines.joined(separator: "\n")
        } catch { return "The tool's schema of results cannot be used: \(error)" }
    }

    // MARK: large results

    /// A result that is kept for reading; what is sent shows where, and its beginning and end.
    private func large(_ blocks: ContentBlocks, _ type: String?, _ data: [UInt8]) -> [UInt8] {
        let (kept, kind) = Self.readable(blocks, type, data)
        let uri = self.keep(kept, kind)
        // A client that knows the schema would not take a result without it.
        let structured = self.tool?.outputSchema != nil ? blocks.structured : nil
        let ends = Self.ends(of: ResultBytes(bytes: kept), kind)
        return self.members(size: kept.count, kind, at: uri, ends, structured, blocks.isError)
    }

    /// What is shown of a result that is read elsewhere.
    struct Ends: Sendable {
        var head: String
        var tail: String
    }

    /// - Returns: nil for what is short, or no text.
    static func ends<Source: ResultSource>(of source: Source, _ type: String) throws(Source.Failure) -> Ends? {
        let part = Limits.ToolEndpoint.previewBytes
        guard source.size > 2 * part, Self.isShown(type) else { return nil }
        let head = try ResultRange.bytes(0, part - 1).part(of: source, isText: true).bytes
        let tail = try ResultRange.bytes(source.size - part, source.size - 1).part(of: source, isText: true).bytes
        return Ends(head: String(decoding: head, as: UTF8.self), tail: String(decoding: tail, as: UTF8.self))
    }

    /// The same of one that is kept already.
    func members(
        size: Int, _ type: String, at uri: String, _ ends: Ends?, _ structured: [UInt8]? = nil, _ isError: Bool = false
    ) -> [UInt8] {
        let isLasting = KeptResult.isOne(uri)
        var shown = Self.size(size, type, isLasting ? nil : self.tool?.keepResult)
        if let ends { shown += "\nIt begins:\n\(ends.head)\n…\nand ends:\n\(ends.tail)" }
        return self.members(self.link(to: uri, type, size: size, preview: shown), structured, isError)
    }

    private func link(to uri: String, _ kind: String, size: Int, preview: String) -> [UInt8] {
        var content = ResultContent.text(preview)
        content.append(contentsOf: #",{"type":"resource_link","uri":"\#(uri)","name":"#.utf8)
        JSONText.append("result of \(self.tool.map(\.name.text) ?? self.invocation)", to: &content)
        content.append(contentsOf: #","mimeType":"#.utf8)
        JSONText.append(kind, to: &content)
        content.append(contentsOf: #","size":\#(size)}"#.utf8)
        return content
    }

    /// A result as it is read by its address.
    static func readable(_ blocks: ContentBlocks, _ type: String?, _ data: [UInt8]) -> (data: [UInt8], type: String) {
        if type == ContentBlocks.mediaType {
            return ([UInt8(ascii: "[")] + blocks.content + [UInt8(ascii: "]")], "application/json")
        }
        let kind = type ?? "application/octet-stream"
        // A text is kept as what it says, or its lines could not be read.
        if kind == "application/json", let text = Self.text(of: data) { return (Array(text.utf8), "text/plain") }
        return (data, kind)
    }

    private static func text(of json: [UInt8]) -> String? {
        json.withUnsafeBytes { text in (try? JSONSlices.document(text)).flatMap { JSONSlices.text(of: $0, in: text) } }
    }

    /// - Parameter time: nil where it lasts as long as its invocation.
    private static func size(_ count: Int, _ type: String, _ time: TimeSpan?) -> String {
        "The result has \(count) bytes (\(type)) and is kept \(time.map { "for \($0)" } ?? "with its invocation"). Read the linked resource: "
            + "its URI with ?bytes=FIRST-LAST or ?lines=FIRST-LAST gives a part."
    }

    private static func isShown(_ type: String) -> Bool {
        !type.hasPrefix("image/") && !type.hasPrefix("audio/") && type != "application/octet-stream"
    }

    // MARK: failures

    /// - Parameter annotations: of the tool, where it is known: whether it is safe to call again.
    static func text(of failure: Failure, _ annotations: ToolManifest.Annotations? = nil) -> String {
        switch failure.code {
        case .functionRejected, .functionFailed: failure.message
        case .deadlineExceeded:
            "The tool timed out: \(failure.message). "
                + (annotations?.readOnly == true || annotations?.idempotent == true
                    ? "It can be called again." : "It may have done part of its work: look before you call it again.")
        case .functionPaused, .functionNotFound, .shuttingDown, .noSlot, .overloaded, .queueFull, .startFailed:
            "The tool is not available now: \(failure.message). Try again later."
        default: "The tool failed (\(failure.code)): \(failure.message)"
        }
    }
}
