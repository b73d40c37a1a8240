internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusTools

/// Answers requests of agents from the catalog in memory; what runs a function goes to ``ToolCall``.
struct ToolEndpoint {
    let server: Server
    let runtime: ShardRuntime

    var registry: ToolRegistry { self.server.tools }

    func catalog(_ namespace: Namespace) -> ToolCatalog {
        self.runtime.tools.catalogs[namespace] ?? self.registry.empty(namespace)
    }

    /// What a function's results are looked through for.
    func mask(_ function: ResourceName) -> ResultMask {
        ResultMask(function, self.runtime.directory[function]?.secrets ?? [], self.server.vault)
    }

    func meaning(_ namespace: Namespace) -> QuestionMeaning {
        QuestionMeaning(
            embedder: self.server.embedder, shards: self.server.shards, runtime: self.runtime, namespace: namespace)
    }

    func perform(_ request: ToolRequest, _ reply: ToolReply) {
        reply.measure(request, self.server.tracer)
        do throws(RPCError) { try self.answer(request, reply) } catch { reply.fail(error) }
    }

    private func answer(_ request: ToolRequest, _ reply: ToolReply) throws(RPCError) {
        switch request.method {
        case .discover: self.discover(request, reply)
        case .listTools: try self.list(.tools, "tools", request, reply)
        case .listPrompts: try self.list(.prompts, "prompts", request, reply)
        case .listResources: try self.list(.resources, "resources", request, reply)
        case .listTemplates: try self.list(.templates, "resourceTemplates", request, reply)
        case .callTool: try ToolCall.begin(self, request, reply)
        case .getPrompt: try ToolCall.beginPrompt(self, request, reply)
        case .readResource: try ToolCall.beginResource(self, request, reply)
        case .complete: try self.complete(request, reply)
        case .listen:
            if let exchange = reply.exchange { try ListenStream.begin(self, request, exchange) }
        case .getTask: try self.getTask(request, reply)
        case .updateTask: try self.updateTask(request, reply)
        case .cancelTask: try self.cancelTask(request, reply)
        case .ping: reply.finish([])
        case .setLogLevel: try self.setLogLevel(request, reply)
        case .subscribe, .unsubscribe: try self.subscribe(request, reply)
        case .initialize: throw .methodNotFound(request.envelope.method, era: request.era)
        }
    }

    // MARK: what the server is

    /// Without the brace that ends them.
    static let capabilities =
        #""capabilities":{"tools":{"listChanged":true},"prompts":{"listChanged":true},"#
        + #""resources":{"subscribe":true,"listChanged":true},"completions":{},"logging":{}"#

    /// `,"instructions": …`; empty where there are none.
    func instructions(_ place: ToolPlace) -> [UInt8] {
        guard let name = place.server,
            let text = self.catalog(place.namespace).server(named: name)?.instructions
        else { return [] }
        var json = Array(#","instructions":"#.utf8)
        JSONText.append(text, to: &json)
        return json
    }

    private func discover(_ request: ToolRequest, _ reply: ToolReply) {
        var members = Array(#""supportedVersions":"#.utf8) + ProtocolRevision.supportedJSON
        members.append(UInt8(ascii: ","))
        members.append(contentsOf: Self.capabilities.utf8)
        members.append(contentsOf: #","extensions":{"\#(ClientCapabilities.tasksName)":{}}}"#.utf8)
        members.append(contentsOf: self.instructions(request.place))
        reply.finish(
            members, cache: CacheHint(ttlMilliseconds: Limits.ToolEndpoint.discoverMilliseconds, isPublic: false))
    }

    // MARK: lists

    private func list(_ list: ToolList, _ name: StaticString, _ request: ToolRequest, _ reply: ToolReply)
        throws(RPCError)
    {
        let catalog = self.catalog(request.place.namespace)
        var cursor: String?
        if let value = request.envelope.parameters.cursor, value.kind != .null {
            guard let text = request.envelope.text(value) else { throw .invalidParams("`cursor` must be a string") }
            cursor = text
        }
        let page: ToolPage
        do throws(ToolCatalogError) {
            page = try catalog.page(of: list, on: request.place.server, cursor: cursor, for: request.caller)
        } catch { throw .invalidParams("the cursor is not one that was given for this list: begin without one") }
        let seen = AuditJournal.List(place: request.place, list: list, principal: request.caller.name)
        self.server.audit.note(seen, now: self.runtime.now) {
            AuditEntry(
                .list, .allowed, namespace: request.place.namespace, principal: request.caller.name,
                subject: "\(request.place.text)#\(name)")
        }
        let cache = self.keep(request.place, isPublic: page.isPublic)
        reply.finish(byteCount: page.items.count + 160, cache: cache) { members in
            members.append(UInt8(ascii: "\""))
            members.append(contentsOf: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
            members.append(contentsOf: "\":[".utf8)
            members.append(contentsOf: page.items)
            members.append(UInt8(ascii: "]"))
            if let next = page.nextCursor {
                members.append(contentsOf: #","nextCursor":"#.utf8)
                JSONText.append(next, to: &members)
            }
        }
    }

    func keep(_ place: ToolPlace, isPublic: Bool) -> CacheHint {
        let keep = place.server.flatMap { self.catalog(place.namespace).server(named: $0)?.keep.milliseconds }
        return CacheHint(
            ttlMilliseconds: keep.map(Int.init) ?? Limits.ToolEndpoint.listMilliseconds, isPublic: isPublic)
    }

    // MARK: of sessions

    private func setLogLevel(_ request: ToolRequest, _ reply: ToolReply) throws(RPCError) {
        let value = request.envelope.member("level", of: request.envelope.parameters.all)
        guard let level = request.envelope.text(value).flatMap(LogLevel.init) else {
            throw .invalidParams("`level` is no level: debug to emergency are")
        }
        if let session = request.session {
            session.setLogLevel(level)
            self.registry.relay?.changed(session)
        }
        reply.finish([])
    }

    private func subscribe(_ request: ToolRequest, _ reply: ToolReply) throws(RPCError) {
        guard let uri = request.envelope.text(request.envelope.parameters.uri) else {
            throw .invalidParams("`uri` is missing or no string")
        }
        guard request.method == .subscribe else {
            if let session = request.session {
                session.unsubscribe(uri)
                self.registry.relay?.unfollowed(uri, in: session)
            }
            return reply.finish([])
        }
        guard
            self.catalog(request.place.namespace).resource(at: uri, on: request.place.server, for: request.caller)
                != nil
        else { throw Self.resourceNotFound(uri, era: request.era) }
        guard request.session?.subscribe(uri) ?? false else {
            throw .invalidParams("at most \(Limits.ToolEndpoint.resourceSubscriptions) resources can be followed")
        }
        if let session = request.session { self.registry.relay?.changed(session) }
        reply.finish([])
    }

    static func resourceNotFound(_ uri: String, era: Era) -> RPCError {
        var data = Array(#"{"uri":"#.utf8)
        JSONText.append(uri, to: &data)
        data.append(UInt8(ascii: "}"))
        return RPCError(
            era == .modern ? .invalidParams : .legacyResourceNotFound, "no resource is at \(uri.prefix(255))",
            data: data)
    }
}
