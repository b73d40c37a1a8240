internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusLoop
internal import ApusTools

/// Tells an agent what changes, of the kinds it asked for, until it leaves. Confined to the loop of its exchange.
final class ListenStream: EndableStream {
    private let exchange: HTTPExchange
    private let runtime: ShardRuntime
    private let request: ToolRequest
    private var caller: ToolCaller
    /// Whose rights ``caller`` has.
    private var principal: Principal?
    private let writer: MessageWriter
    private let lists: Set<ToolList>
    private let resources: Set<String>
    private var lastWrite: Timestamp
    private var isOpen = true
    private var tasks: TaskNews?

    static func begin(_ endpoint: ToolEndpoint, _ request: ToolRequest, _ exchange: HTTPExchange) throws(RPCError) {
        let envelope = request.envelope
        guard let wanted = envelope.member("notifications", of: envelope.parameters.all), wanted.kind == .object else {
            throw .invalidParams("`notifications` is missing or no object")
        }
        let runtime = endpoint.runtime
        guard runtime.tools.listeners.count < Limits.ToolEndpoint.listeners else {
            throw RPCError(.unavailable, "too many streams listen already: try again later")
        }
        let isWanted = { (name: String) -> Bool in
            envelope.member(name, of: wanted).map { envelope.bytes($0).elementsEqual("true".utf8) } ?? false
        }
        var lists: Set<ToolList> = []
        if isWanted("toolsListChanged") { lists.insert(.tools) }
        if isWanted("promptsListChanged") { lists.insert(.prompts) }
        if isWanted("resourcesListChanged") { lists.formUnion([.resources, .templates]) }
        var uris: [String] = []
        if let list = envelope.member("resourceSubscriptions", of: wanted) {
            envelope.body.withUnsafeBytes { text in
                JSONSlices.forEachElement(of: list, in: text) {
                    if let uri = JSONSlices.text(of: $0, in: text) { uris.append(uri) }
                }
            }
        }
        // Only what this caller can read, and not more than is good.
        let catalog = endpoint.catalog(request.place.namespace)
        uris = uris.filter { catalog.resource(at: $0, on: request.place.server, for: request.caller) != nil }
        let resources = Set(uris.prefix(Limits.ToolEndpoint.resourceSubscriptions))
        let tasks = try TaskNews.wanted(endpoint, request, wanted)
        let stream = ListenStream(exchange, endpoint, request, lists, resources)
        stream.start(tasks, endpoint)
    }

    private init(
        _ exchange: HTTPExchange, _ endpoint: ToolEndpoint, _ request: ToolRequest, _ lists: Set<ToolList>,
        _ resources: Set<String>
    ) {
        self.exchange = exchange
        self.runtime = endpoint.runtime
        self.request = request
        self.caller = request.caller
        self.principal = (exchange.admission as? Admission)?.principal
        self.writer = endpoint.registry.modern
        self.lists = lists
        self.resources = resources
        self.lastWrite = endpoint.runtime.now
    }

    private func start(_ tasks: TaskNews, _ endpoint: ToolEndpoint) {
        self.tasks = tasks
        self.exchange.onGone = { self.close() }
        self.exchange.stream(status: 200, headers: ServerSentEvent.headers)
        self.runtime.tools.listeners[ObjectIdentifier(self)] = self
        self.runtime.tools.watch(self.runtime)
        var honoured: [String] = []
        if self.lists.contains(.tools) { honoured.append(#""toolsListChanged":true"#) }
        if self.lists.contains(.prompts) { honoured.append(#""promptsListChanged":true"#) }
        if self.lists.contains(.resources) { honoured.append(#""resourcesListChanged":true"#) }
        var json = Array(honoured.joined(separator: ",").utf8)
        if !self.resources.isEmpty {
            if !json.isEmpty { json.append(UInt8(ascii: ",")) }
            json.append(contentsOf: #""resourceSubscriptions":["#.utf8)
            for (index, uri) in self.resources.sorted().enumerated() {
                if index > 0 { json.append(UInt8(ascii: ",")) }
                JSONText.append(uri, to: &json)
            }
            json.append(UInt8(ascii: "]"))
        }
        if !tasks.names.isEmpty {
            if !json.isEmpty { json.append(UInt8(ascii: ",")) }
            json.append(contentsOf: #""taskIds":["#.utf8)
            // Ids of ours, which need no escapes.
            json.append(contentsOf: tasks.names.map { "\"\($0)\"" }.joined(separator: ",").utf8)
            json.append(UInt8(ascii: "]"))
        }
        self.tell(
            "notifications/subscriptions/acknowledged", Array(#","notifications":{"#.utf8) + json + Array("}".utf8))
        // Last: on the way down it ends at once.
        self.runtime.opened(self)
        tasks.follow(endpoint, self.request) { [weak self] report in
            guard let self, self.isOpen else { return }
            self.tell("notifications/tasks", [UInt8(ascii: ",")] + report.detailedMembers)
        }
    }

    /// `"io.modelcontextprotocol/subscriptionId": …`
    private var subscription: [UInt8] {
        Array(#""io.modelcontextprotocol/subscriptionId":"#.utf8) + self.request.id.token
    }

    private func tell(_ method: String, _ more: [UInt8] = []) {
        let params = Array(#"{"_meta":{"#.utf8) + self.subscription + Array("}".utf8) + more + Array("}".utf8)
        self.lastWrite = self.runtime.now
        _ = self.exchange.write(ServerSentEvent.encode(data: MessageWriter.notification(method, params)))
    }

    func changed(_ update: ToolUpdate) {
        guard self.isOpen else { return }
        let place = self.request.place
        if let change = update.changes[place.namespace] {
            let isChanged = { (list: ToolList) in
                self.lists.contains(list) && change.concerns(self.caller, list, on: place.server)
            }
            if isChanged(.tools) { self.tell("notifications/tools/list_changed") }
            if isChanged(.prompts) { self.tell("notifications/prompts/list_changed") }
            if isChanged(.resources) || isChanged(.templates) { self.tell("notifications/resources/list_changed") }
        }
        for uri in self.resources.intersection(update.resources[place.namespace] ?? []).sorted() {
            var more = Array(#","uri":"#.utf8)
            JSONText.append(uri, to: &more)
            self.tell("notifications/resources/updated", more)
        }
    }

    /// Its principal sees other lists from now on, or must not listen here any more.
    func rightsChanged() {
        guard self.isOpen, let principal = self.runtime.changed(self.exchange.admission as? Admission),
            principal != self.principal
        else { return }
        self.principal = principal
        guard principal.reaches(self.request.place.server) else { return self.end() }
        self.caller = ToolCaller(principal, in: self.request.place.namespace)
        if self.lists.contains(.tools) { self.tell("notifications/tools/list_changed") }
        if self.lists.contains(.prompts) { self.tell("notifications/prompts/list_changed") }
        if self.lists.contains(.resources) { self.tell("notifications/resources/list_changed") }
    }

    func keepAlive(now: Timestamp) {
        guard self.isOpen, now >= self.lastWrite + .milliseconds(Limits.ToolEndpoint.keepAliveMilliseconds) else {
            return
        }
        self.lastWrite = now
        _ = self.exchange.write(ServerSentEvent.keepAlive)
    }

    /// The server goes: its clients are told that the subscription is over.
    func end() {
        guard self.isOpen else { return }
        _ = self.exchange.write(
            ServerSentEvent.encode(data: self.writer.result(self.request.id, [], meta: self.subscription)))
        self.exchange.end()
        self.close()
    }

    private func close() {
        guard self.isOpen else { return }
        self.isOpen = false
        self.exchange.onGone = nil
        self.tasks?.end()
        self.runtime.tools.listeners[ObjectIdentifier(self)] = nil
        self.runtime.closed(self)
    }
}
