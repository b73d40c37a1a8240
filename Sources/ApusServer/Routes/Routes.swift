internal import ApusCore
internal import ApusHTTP
internal import ApusHost
internal import ApusJSON
internal import ApusLoop
internal import ApusStore
internal import ApusTools
internal import Synchronization

/// The HTTP paths of one shard's listener. Made on the shard's loop, where every handler runs.
struct Routes {
    private let place: (server: Server, runtime: ShardRuntime)?

    init(_ server: Server, _ runtime: ShardRuntime) { self.place = (server, runtime) }

    /// For what can be told of the operations without a server.
    private init() { self.place = nil }

    /// Every operation there is, in the order of the table.
    static let operations: [Operation] = Routes().table().operations

    var server: Server { self.serving.server }
    var runtime: ShardRuntime { self.serving.runtime }

    private var serving: (server: Server, runtime: ShardRuntime) {
        guard let place = self.place else { preconditionFailure("a table without a server runs no handler") }
        return place
    }

    func listener() -> HTTPListener {
        var configuration = HTTPListener.Configuration()
        configuration.allowed.hosts.formUnion(self.server.configuration.allowedHosts)
        configuration.connections = self.server.configuration.connections
        configuration.certificate = self.server.configuration.certificate
        configuration.bodyLimit = { method, path in
            guard method == "POST" else { return Limits.HTTP.bodyBytes }
            if Self.takesMessages(path) { return Limits.Tools.messageBytes }
            if Self.takesBundles(path) { return Limits.HTTP.bundleBytes }
            return Self.takesEvents(path) ? Limits.HTTP.eventsBytes : Limits.HTTP.bodyBytes
        }
        configuration.overflowLimit = { method, path in
            method == "POST" && Self.takesMessages(path) ? Limits.Tools.discardedBytes : 0
        }
        let table = self.table()
        let router = table.router
        let (server, runtime) = (self.server, self.runtime)
        runtime.operations = table.operations.map(\.id)
        configuration.onAnswer = { runtime.answered($0, server.journal) }
        let gate = Gate(server: self.server, runtime: self.runtime, router: router)
        configuration.admit = { gate.admit($0) }
        self.runtime.watchStreams { gate.sweep() }
        return HTTPListener(loop: runtime.loop, configuration: configuration) { exchange in
            // The head may have been let in before the end began. What handlers reach for may be gone by now.
            guard !runtime.isStopping || exchange.rawPath == "/healthz" else {
                return exchange.respond(Self.stopping, headers: [("Retry-After", "1")])
            }
            guard let (route, parameters) = (exchange.admission as? Admission)?.route else {
                return router.refuse(exchange)
            }
            route.handler(exchange, parameters)
        }
    }

    private static let stopping = Problem(.shuttingDown, "the server is stopping: try again in a moment")

    private static func takesEvents(_ path: String) -> Bool {
        path.hasSuffix("/events") && (path.hasPrefix("/v1/topics/") || path.hasPrefix("/v1/namespaces/"))
    }

    private static func takesBundles(_ path: String) -> Bool {
        path == "/v1/bundles" || (path.hasPrefix("/v1/namespaces/") && path.hasSuffix("/bundles"))
    }

    /// Every operation there is, each group beside its handlers.
    private func table() -> RouteTable {
        var table = RouteTable()
        self.addSystem(to: &table)
        self.addConsole(to: &table)
        self.addDeploy(to: &table)
        self.addTopics(to: &table)
        self.addCloudEvents(to: &table)
        self.addFunctions(to: &table)
        self.addInvoke(to: &table)
        self.addHTTPTriggers(to: &table)
        self.addDeadLetters(to: &table)
        self.addRedrives(to: &table)
        self.addSubscriptions(to: &table)
        self.addReplays(to: &table)
        self.addApprovals(to: &table)
        self.addRetention(to: &table)
        self.addInvocations(to: &table)
        self.addObserve(to: &table)
        self.addOperate(to: &table)
        self.addDevices(to: &table)
        self.addUsage(to: &table)
        self.addSchedules(to: &table)
        self.addCommands(to: &table)
        self.addAccess(to: &table)
        self.addAgents(to: &table)
        self.addAudit(to: &table)
        self.addProtectedResource(to: &table)
        self.addSecrets(to: &table)
        self.addTools(to: &table)
        self.addToolServers(to: &table)
        self.addUpstreams(to: &table)
        self.addToolSwitches(to: &table)
        self.addToolList(to: &table)
        return table
    }

    // MARK: who is calling

    func principal(of exchange: HTTPExchange) -> Principal {
        (exchange.admission as? Admission)?.principal ?? .anonymous
    }

    /// Checks a right that only the body of a request, or what it leads to, asks for.
    /// - Throws: `forbidden`.
    func require(_ access: Access, in namespace: Namespace, of exchange: HTTPExchange) throws(ApusError) {
        try Requirement(access, in: namespace).check(self.principal(of: exchange))
    }

    // MARK: what handlers share

    func namespace(_ parameters: RouteParameters) throws(ApusError) -> Namespace { try Self.namespace(parameters) }

    static func namespace(_ parameters: RouteParameters) throws(ApusError) -> Namespace {
        guard let text = parameters["ns"] else { return .default }
        guard let namespace = Namespace(text) else {
            throw ApusError(
                .invalidArgument, "'\(text.prefix(64))' is no namespace: 1 to 63 of a-z, 0-9 and hyphens are allowed")
        }
        return namespace
    }

    func topic(_ parameters: RouteParameters) throws(ApusError) -> TopicName {
        let text = parameters["topic"] ?? ""
        if TopicName.isReserved(text) {
            throw ApusError(
                .reservedName,
                "the topic '\(text.prefix(64))' is the platform's own: names that begin with apus. or ns. are reserved")
        }
        guard let topic = TopicName(try self.namespace(parameters), text) else {
            throw ApusError(
                .invalidArgument,
                "'\(text.prefix(64))' is no topic's name: letters, digits, '.', '_' and '-' are allowed")
        }
        return topic
    }

    /// A topic that exists.
    func existingTopic(_ parameters: RouteParameters) throws(ApusError) -> (TopicName, TopicConfiguration) {
        let topic = try self.topic(parameters)
        guard let configuration = self.server.log.topic(topic) else {
            throw ApusError(
                .topicNotFound,
                "the topic '\(topic)' does not exist: see `apus get topics`, or deploy a Topic of that name")
        }
        return (topic, configuration)
    }

    func function(_ parameters: RouteParameters) throws(ApusError) -> ResourceName {
        let text = parameters["name"] ?? ""
        guard let name = ResourceName(try self.namespace(parameters), text) else {
            throw ApusError(
                .invalidArgument,
                "'\(text.prefix(64))' is no function's name: 1 to 63 of a-z, 0-9 and hyphens are allowed")
        }
        return name
    }

    func query(_ exchange: HTTPExchange) throws(ApusError) -> RequestQuery {
        do throws(RequestQuery.Failure) { return try RequestQuery(parsing: exchange.rawQuery) } catch {
            throw ApusError(.invalidArgument, "the query cannot be read: \(error.message)")
        }
    }

    func number(_ query: RequestQuery, _ name: String, default standard: Int, in range: ClosedRange<Int>)
        throws(ApusError) -> Int
    {
        guard let text = query[name] else { return standard }
        guard let number = Int(text), range.contains(number) else {
            throw ApusError(
                .invalidArgument,
                "\(name)=\(text.prefix(32)): a number from \(range.lowerBound) to \(range.upperBound) is expected")
        }
        return number
    }

    /// Runs `body`; an error becomes the answer.
    func answer(_ exchange: HTTPExchange, _ body: () throws(ApusError) -> Void) {
        do throws(ApusError) { try body() } catch { exchange.respond(error) }
    }

    /// Answers from the store thread: for what touches the projection, bundles or large JSON. A request that names an
    /// `Apus-Position` is answered once the projection has passed it.
    func answerFromStore(
        _ exchange: HTTPExchange, _ body: @escaping @Sendable (Server) throws(ApusError) -> StoreAnswer
    ) {
        self.answer(exchange) { () throws(ApusError) in
            let position = try exchange.header(LogPosition.header).map { (text) throws(ApusError) in
                try LogPosition(parsing: text).place
            }
            if let topic = position?.partition.topic, let local = topic.local {
                // How far the log of another tenant has come is no business of this one.
                try self.require(.inNamespace(Set(Role.allCases)), in: local.namespace, of: exchange)
            }
            let reply = exchange.reply()
            let server = self.server
            let work: @Sendable () -> Void = {
                do throws(ApusError) {
                    let answer = try body(server)
                    reply.respond(
                        status: 200, headers: [("Content-Type", "application/json")] + answer.headers, body: answer.json
                    )
                } catch {
                    reply.respond(Problem(error))
                }
            }
            guard let position else {
                if !server.store.run(work) {
                    throw ApusError(.overloaded, "too many queries wait: try again in a moment")
                }
                return
            }
            server.projection.whenPassed(position) { error in
                if let error { reply.respond(Problem(error)) } else { work() }
            }
        }
    }
}

/// What a query of the projection comes to.
struct StoreAnswer {
    var json: [UInt8]
    var headers: [(String, String)]

    init(_ json: JSONValue, headers: [(String, String)] = []) { self.init(json: json.encoded(), headers: headers) }

    init(json: [UInt8], headers: [(String, String)] = []) {
        self.json = json
        self.headers = headers
    }
}

/// A place on the log as the header `Apus-Position` says it: `<topic on the log>/<partition>/<offset>`.
struct LogPosition: CustomStringConvertible {
    static let header = "Apus-Position"
    var place: RecordPlace

    init(_ place: RecordPlace) { self.place = place }

    /// - Throws: `invalid_argument`.
    init(parsing text: String) throws(ApusError) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, let topic = TopicName(onLog: String(parts[0])), let partition = Int(parts[1]),
            (0..<Limits.partitionsPerTopic).contains(partition), let offset = Offset(parts[2]), offset >= 0
        else {
            throw ApusError(
                .invalidArgument,
                "\(Self.header): \(text.prefix(64)): a topic, a partition and an offset are expected, as a write gave it"
            )
        }
        self.place = RecordPlace(TopicPartition(topic, partition), offset)
    }

    var description: String {
        "\(self.place.partition.topic.onLog)/\(self.place.partition.partition)/\(self.place.offset)"
    }
}
