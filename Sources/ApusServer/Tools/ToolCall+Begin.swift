internal import ApusCore
internal import ApusCrypto
internal import ApusJSON
internal import ApusManifest
internal import ApusSchema
internal import ApusTools

/// From a request to a function that runs: whether there is such a thing, for this caller, and whether its arguments fit.
extension ToolCall {
    private static func name(_ request: ToolRequest) throws(RPCError) -> String {
        guard let name = request.envelope.text(request.envelope.parameters.name) else {
            throw .invalidParams("`name` is missing or no string")
        }
        return name
    }

    private static func event(
        _ kind: ToolEvent.Kind, _ endpoint: ToolEndpoint, _ request: ToolRequest, _ reply: ToolReply, subject: String
    ) -> ToolEvent {
        ToolEvent(
            kind: kind, identity: endpoint.runtime.invocationIDs.next().description, subject: subject,
            capabilities: request.capabilities.names.joined(separator: " "), caller: request.caller.name,
            traceparent: request.envelope.text(request.envelope.parameters.traceparent).flatMap(Self.trace),
            trace: reply.trace)
    }

    /// What is no place in a trace is left out: functions and exporters take it for one.
    private static func trace(_ text: String) -> String? {
        let isOne =
            text.utf8.count == 55
            && text.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x61...0x66).contains($0) || $0 == UInt8(ascii: "-")
            }
        return isOne ? text : nil
    }

    private static let emptyObject: ArraySlice<UInt8> = Array("{}".utf8)[...]

    /// - Throws: what no tool is to be blamed for. Arguments that do not fit are a result, which the model reads.
    static func begin(_ endpoint: ToolEndpoint, _ request: ToolRequest, _ reply: ToolReply) throws(RPCError) {
        let name = try self.name(request)
        let catalog = endpoint.catalog(request.place.namespace)
        var data = self.emptyObject
        if let arguments = request.envelope.parameters.arguments, arguments.kind != .null {
            guard arguments.kind == .object else { throw .invalidParams("`arguments` must be an object") }
            data = request.envelope.bytes(arguments)
        }
        reply.audit = ToolAudit(
            endpoint.server.audit, request, reply.trace, name: name, data, now: endpoint.runtime.now)
        if let meta = MetaTool(name, on: request.place.server.flatMap { catalog.server(named: $0) }) {
            return try self.begin(meta, endpoint, request, reply, data)
        }
        guard let tool = try self.tool(named: name, catalog, request, reply, data) else {
            throw .invalidParams("Unknown tool: \(name.prefix(128))")
        }
        if request.era == .modern, !tool.headers.isEmpty, let exchange = reply.exchange {
            try tool.headers.check(RoutingHead(exchange), request.envelope)
        }
        try self.begin(tool, named: name, endpoint, request, reply, data)
    }

    /// What a server with `mode: search` lists. A call through `call_tool` is one of the inner tool from here on, headers aside: clients
    /// know the schema of the outer one alone.
    private static func begin(
        _ meta: MetaTool, _ endpoint: ToolEndpoint, _ request: ToolRequest, _ reply: ToolReply,
        _ data: ArraySlice<UInt8>
    ) throws(RPCError) {
        let catalog = endpoint.catalog(request.place.namespace)
        let call = MetaCall(catalog, on: request.place.server, for: request.caller)
        if meta == .find, let question = MetaCall.question(Array(data)) {
            reply.wait()
            return endpoint.meaning(request.place.namespace).find(question) { meaning in
                reply.finish(Self.found(call.answer(meta, Array(data), meaning: meaning)))
            }
        }
        switch call.answer(meta, Array(data)) {
        case .refused(let reason): reply.finish(self.refusal(reason))
        case .result(let json): reply.finish(self.structured(json))
        case .call(let name, let arguments):
            guard let tool = try self.tool(named: name, catalog, request, reply, arguments[...]) else {
                throw .invalidParams("Unknown tool: \(name.prefix(128))")
            }
            try self.begin(tool, named: name, endpoint, request, reply, arguments[...])
        }
    }

    /// Of several versions one that is drawn; of those that need an approval the same one for the same call, so that the call
    /// which is made again is the one that was approved. What goes on with a state goes on with the version that gave it.
    private static func tool(
        named name: String, _ catalog: ToolCatalog, _ request: ToolRequest, _ reply: ToolReply,
        _ data: ArraySlice<UInt8>
    ) throws(RPCError) -> Tool? {
        let (place, caller) = (request.place.server, request.caller)
        if let version = RequestState(request)?.version,
            let begun = catalog.tool(named: name, version: version, on: place, for: caller)
        {
            return begun
        }
        let key = try CallKey(request, reply)
        // Calls with one key go to one version anyway.
        guard let drawn = catalog.tool(named: name, on: place, for: caller, draw: key.draw) else { return nil }
        guard !key.isGiven else { return drawn }
        let server = place.flatMap { catalog.server(named: $0) }
        let call = SHA256.hash(
            Array("\(caller.name)\n\(name)\n".utf8) + (CanonicalJSON.encode(data) ?? Array(data)))
        let fixed = catalog.tool(
            named: name, on: place, for: caller, draw: call.span.bytes.littleEndian(at: 0, as: UInt64.self))
        guard let fixed, ApprovalRule(fixed, on: server) == nil, ApprovalRule(drawn, on: server) == nil else {
            return fixed
        }
        return drawn
    }

    private static func structured(_ json: [UInt8]) -> [UInt8] {
        let text = json.withUnsafeBytes { ResultContent.text(utf8: $0) }
        var members: [UInt8] = []
        members.reserveCapacity(text.count + json.count + 64)
        members.append(contentsOf: #""content":["#.utf8)
        members.append(contentsOf: text)
        members.append(contentsOf: #"],"structuredContent":"#.utf8)
        members.append(contentsOf: json)
        return members
    }

    /// What a search comes to, which calls nothing.
    private static func found(_ answer: MetaAnswer) -> [UInt8] {
        switch answer {
        case .result(let json): self.structured(json)
        case .refused(let reason): self.refusal(reason)
        case .call(let name, _): self.refusal("'\(name)' is called through call_tool.")
        }
    }

    private static func begin(
        _ tool: Tool, named name: String, _ endpoint: ToolEndpoint, _ request: ToolRequest, _ reply: ToolReply,
        _ data: ArraySlice<UInt8>
    ) throws(RPCError) {
        reply.tool = tool.name.text
        try self.checkTasks(tool, request)
        guard data.count <= Limits.ToolEndpoint.argumentsBytes else {
            return reply.refuse("the arguments have \(data.count) bytes, which is too much for a call", code: "arguments")
        }
        let violations = try self.violations(of: data, tool, endpoint)
        guard violations.isEmpty else {
            let lines = violations.map { "\($0.pointer.isEmpty ? "(arguments)" : $0.pointer): \($0.message)" }
            return reply.refuse(
                "The arguments do not fit the tool's schema:\n" + lines.joined(separator: "\n"), code: "arguments")
        }
        let key = try CallKey(request, reply).idempotencyKey(of: tool, data, request)
        let event = self.event(.tool, endpoint, request, reply, subject: name)
        reply.audit?.found(tool, invocation: event.identity)
        if let refusal = endpoint.admit(request, reply, of: tool) {
            return reply.refuse(refusal.text, code: refusal.bound.rawValue, meta: refusal.meta)
        }
        let call = ToolCall(endpoint, request, reply, .tool(tool), event, data: data)
        call.key = key
        try call.start()
    }

    /// A result that says why nothing was called.
    static func refusal(_ text: String) -> [UInt8] {
        Array(#""content":["#.utf8) + ResultContent.text(text) + Array(#"],"isError":true"#.utf8)
    }

    private static func violations(
        of data: ArraySlice<UInt8>, _ tool: Tool, _ endpoint: ToolEndpoint
    ) throws(RPCError) -> [SchemaViolation] {
        let schemas: ToolSchemas
        do throws(SchemaError) { schemas = try endpoint.runtime.tools.schemas(of: tool) } catch {
            throw RPCError(.internalError, "the schema of '\(tool.name)' cannot be used: \(error)")
        }
        return data.withUnsafeBytes { bytes in
            let doubtful = ArgumentCheck.violations(in: bytes)
            guard doubtful.isEmpty else { return doubtful }
            do throws(ApusError) {
                return try endpoint.runtime.parser.parse(bytes) { schemas.input.check($0) }
            } catch { return [SchemaViolation("", "", error.message)] }
        }
    }

    static func beginPrompt(_ endpoint: ToolEndpoint, _ request: ToolRequest, _ reply: ToolReply) throws(RPCError) {
        let name = try self.name(request)
        let catalog = endpoint.catalog(request.place.namespace)
        guard let prompt = catalog.prompt(named: name, on: request.place.server, for: request.caller) else {
            throw .invalidParams("Unknown prompt: \(name.prefix(128))")
        }
        var data = self.emptyObject
        var given: Set<String> = []
        if let arguments = request.envelope.parameters.arguments, arguments.kind != .null {
            guard arguments.kind == .object else { throw .invalidParams("`arguments` must be an object") }
            var isText = true
            request.envelope.body.withUnsafeBytes { text in
                JSONSlices.forEachMember(of: arguments, in: text) {
                    given.insert(String(decoding: $0, as: UTF8.self))
                    isText = isText && $1.kind == .string
                }
            }
            guard isText else { throw .invalidParams("the arguments of a prompt are strings") }
            data = request.envelope.bytes(arguments)
        }
        let missing = prompt.arguments.filter { $0.isRequired && !given.contains($0.name) }.map(\.name)
        guard missing.isEmpty else {
            throw .invalidParams("the prompt '\(name)' needs: \(missing.joined(separator: ", "))")
        }
        let event = self.event(.prompt, endpoint, request, reply, subject: name)
        try endpoint.admitOther(request, reply)
        try ToolCall(endpoint, request, reply, .prompt(prompt), event, data: data).start()
    }

    static func beginResource(_ endpoint: ToolEndpoint, _ request: ToolRequest, _ reply: ToolReply) throws(RPCError) {
        guard let uri = request.envelope.text(request.envelope.parameters.uri) else {
            throw .invalidParams("`uri` is missing or no string")
        }
        if LargeResults.isOne(uri) { return try endpoint.readResult(uri, request, reply) }
        if KeptResult.isOne(uri) { return try endpoint.readKept(uri, request, reply) }
        let catalog = endpoint.catalog(request.place.namespace)
        var data = Array(#"{"uri":"#.utf8)
        JSONText.append(uri, to: &data)
        let target: Target
        switch catalog.resource(at: uri, on: request.place.server, for: request.caller) {
        case .resource(let resource): target = .resource(resource.function, uri: uri, type: resource.mimeType, resource.remote)
        case .template(let template, let values):
            target = .resource(template.function, uri: uri, type: template.mimeType, template.remote)
            data.append(contentsOf: #","params":{"#.utf8)
            for (index, value) in values.enumerated() {
                if index > 0 { data.append(UInt8(ascii: ",")) }
                JSONText.append(value.name, to: &data)
                data.append(UInt8(ascii: ":"))
                JSONText.append(value.value, to: &data)
            }
            data.append(UInt8(ascii: "}"))
        case nil: throw ToolEndpoint.resourceNotFound(uri, era: request.era)
        }
        data.append(UInt8(ascii: "}"))
        let event = self.event(.resource, endpoint, request, reply, subject: uri)
        try endpoint.admitOther(request, reply)
        try ToolCall(endpoint, request, reply, target, event, data: data[...]).start()
    }

    static func beginCompletion(
        _ endpoint: ToolEndpoint, _ request: ToolRequest, _ reply: ToolReply, _ function: ResourceName, subject: String,
        remote: Tool.Remote? = nil
    ) throws(RPCError) {
        guard let params = request.envelope.parameters.all else { return }
        let event = self.event(.completion, endpoint, request, reply, subject: subject)
        let data = request.envelope.bytes(params)
        try endpoint.admitOther(request, reply)
        try ToolCall(endpoint, request, reply, .completion(function, remote), event, data: data).start()
    }
}
