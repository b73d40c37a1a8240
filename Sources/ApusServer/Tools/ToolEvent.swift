internal import ApusCore
internal import ApusTelemetry

/// The event that a function gets for a request of an agent.
struct ToolEvent {
    enum Kind: String {
        case tool = "dev.apus.tool.call"
        case prompt = "dev.apus.prompt.get"
        case resource = "dev.apus.resource.read"
        case completion = "dev.apus.completion"
        /// A text whose meaning the search wants.
        case embedding = "dev.apus.embedding.request"
    }

    var kind: Kind
    /// Of the invocation.
    var identity: String
    /// What is asked for: the tool, the prompt, the URI.
    var subject: String
    /// What the caller's client can be asked, separated by blanks.
    var capabilities: String
    var caller: String
    /// As the caller says it.
    var traceparent: String?
    /// Where what runs for it goes on from.
    var trace = ToolTrace.none

    /// - Parameter data: JSON.
    func block(_ data: ArraySlice<UInt8>) -> [UInt8] {
        var attributes: [UInt8] = []
        Self.append("id", .string, self.identity, to: &attributes)
        Self.append("source", .uriReference, "/apus/mcp", to: &attributes)
        Self.append("type", .string, self.kind.rawValue, to: &attributes)
        Self.append("subject", .string, self.subject, to: &attributes)
        Self.append("datacontenttype", .string, "application/json", to: &attributes)
        if let traceparent { Self.append("traceparent", .string, traceparent, to: &attributes) }
        Self.append("apus-capabilities", .header, self.capabilities, to: &attributes)
        Self.append("apus-caller", .header, self.caller, to: &attributes)
        var block: [UInt8] = []
        block.reserveCapacity(EventBlock.headBytes + attributes.count + data.count)
        EventBlock.appendHead(key: nil, attributes: attributes.count, data: data.count, isNull: false, to: &block)
        block.append(contentsOf: attributes)
        block.append(contentsOf: data)
        guard let (context, state) = self.trace.decision.carried else { return block }
        return block.withUnsafeBytes { EventTrace.rewritten($0, context, state: state, isMarked: true) }
    }

    /// The same for the log, where it lasts.
    func event(_ data: ArraySlice<UInt8>) -> Event {
        var attributes = [
            Attribute("id", self.identity), Attribute("source", "/apus/mcp", kind: .uriReference),
            Attribute("type", self.kind.rawValue), Attribute("subject", self.subject),
            Attribute("datacontenttype", "application/json"),
        ]
        if let traceparent { attributes.append(Attribute("traceparent", traceparent)) }
        if let (context, state) = self.trace.decision.carried {
            attributes.append(Attribute(TraceContext.header, context.description, kind: .header))
            if let state { attributes.append(Attribute(TraceContext.stateHeader, state, kind: .header)) }
        }
        return Event(attributes: attributes, data: Array(data))
    }

    /// What Apus itself says of it. A call is tried once: its caller decides whether to try again.
    var told: [Attribute] {
        [
            Attribute("apus-capabilities", self.capabilities, kind: .header),
            Attribute("apus-caller", self.caller, kind: .header),
            Attribute(InvocationHeader.once, "1", kind: .header),
        ]
    }

    private static func append(
        _ name: StaticString, _ kind: Attribute.Kind, _ value: String, to bytes: inout [UInt8]
    ) {
        var value = value.utf8.count <= 0x3FFF ? value : String(value.prefix(0xFFF))
        value.withUTF8 { EventBlock.appendAttribute(name, kind, UnsafeRawBufferPointer($0), to: &bytes) }
    }
}
