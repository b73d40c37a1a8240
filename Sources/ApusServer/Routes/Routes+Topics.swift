internal import ApusCore
internal import ApusCrypto
internal import ApusHTTP
internal import ApusJSON
internal import ApusLoop
internal import ApusManifest
internal import ApusStore
internal import ApusTelemetry

/// Topics: publishing and reading events, and the topics themselves.
extension Routes {
    func addTopics(to table: inout RouteTable) {
        table.add(Operation("publishEvents", "POST", "/v1/topics/{topic}/events", "Publishes CloudEvents.", .publish)) {
            self.publish($0, $1)
        }
        table.add(Operation("readEvents", "GET", "/v1/topics/{topic}/events", "Reads or follows a topic.", .read)) {
            self.consume($0, $1)
        }
        table.add(Operation("listTopics", "GET", "/v1/topics", "The topics.", .read)) { self.listTopics($0, $1) }
        table.add(Operation("getTopic", "GET", "/v1/topics/{topic}", "One topic.", .read)) {
            self.describeTopic($0, $1)
        }
        table.add(Operation("putTopic", "PUT", "/v1/topics/{topic}", "Deploys one topic.", .deploy)) {
            self.putTopic($0, $1)
        }
        table.add(Operation("deleteTopic", "DELETE", "/v1/topics/{topic}", "Deletes a topic.", .deploy)) {
            self.deleteTopic($0, $1)
        }
    }

    // MARK: publish

    func publish(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let (topic, configuration) = try self.existingTopic(parameters)
            var events = try self.publishedEvents(exchange)
            if configuration.isCompacted, let index = events.firstIndex(where: { !$0.hasKey }) {
                throw ApusError(
                    .invalidEvent, "event \(index) has no key, and '\(topic)' is compacted: give each a partitionkey")
            }
            guard !events.isEmpty else { return exchange.respond(status: 202, json: Array(#"{"events":[]}"#.utf8)) }
            let count = events.count
            let key = try IdempotencyKey(
                exchange, principal: self.principal(of: exchange).name, scope: "publish \(topic)")
            self.trace(&events, exchange, "POST /v1/topics/{topic}/events", Self.publishAttributes(topic, count))
            let appends = events.map { event in
                LogBatch.Append(
                    topic: topic, partition: event.hasKey ? nil : Self.partition(event.block, of: configuration),
                    block: event.block)
            }
            let once = key?.once(now: self.server.clock.now)
            let reply = exchange.reply()
            let answer = { @Sendable (result: Result<LogReceipt, ApusError>) in
                switch result {
                case .failure(let error): reply.respond(Problem(error))
                case .success(let receipt): Self.acknowledge(receipt, topic, reply)
                }
            }
            guard events.contains(where: { $0.block.count > Limits.eventBytes }) else {
                return self.server.log.submit(LogBatch(urgency: .producer, appends: appends, once: once), answer)
            }
            let large = LargeEvents(log: self.server.log, topic: topic)
            let isQueued = self.server.reader.run { large.publish(appends, once: once, answer) }
            if !isQueued { throw ApusError(.overloaded, "too many large events wait: try again in a moment") }
        }
    }

    /// Where an event without a key goes: source and id decide, so that its repetitions meet it there.
    private static func partition(_ block: [UInt8], of configuration: TopicConfiguration) -> Int? {
        guard configuration.partitions > 1, let layout = try? EventLayout(parsing: block.span.bytes) else { return nil }
        return block.withUnsafeBytes { bytes in
            var (source, id) = (0..<0, 0..<0)
            // What cannot be walked was refused before.
            try? layout.forEachAttribute(in: bytes.bytes) { name, kind, value in
                guard kind != Attribute.Kind.header.rawValue else { return true }
                if bytes[name].elementsEqual("source".utf8) { source = value }
                if bytes[name].elementsEqual("id".utf8) { id = value }
                return true
            }
            let identity = Array(bytes[source]) + [0] + Array(bytes[id])
            return identity.withUnsafeBytes { Murmur2.partition(of: $0, among: configuration.partitions) }
        }
    }

    private static func publishAttributes(_ topic: TopicName, _ count: Int) -> [Span.Attribute] {
        [
            Span.Attribute("messaging.system", "apus"), Span.Attribute("messaging.operation.type", "send"),
            Span.Attribute("messaging.operation.name", "publish"),
            Span.Attribute("messaging.destination.name", topic.onLog),
            Span.Attribute("messaging.batch.message_count", count),
        ]
    }

    /// The blocks of a request's events. Batches of plain events, which is what busy producers send, are read in one pass.
    private func publishedEvents(_ exchange: HTTPExchange) throws(ApusError) -> [QuickBatch.Event] {
        if CloudEventDecoder.isBatch(contentType: exchange.header("Content-Type")), exchange.header("Apus-Key") == nil,
            let events = QuickBatch.events(exchange.body, self.runtime.parser)
        {
            return events
        }
        let defaults = CloudEventDecoder.Defaults(
            id: Random.token(bytes: 16), source: "/apus/http", type: "dev.apus.event")
        let events = try CloudEventDecoder.events(
            headers: exchange.headers, body: exchange.body, defaults: defaults, dataBytes: Limits.Blob.bytes)
        return events.map { QuickBatch.Event(block: EventBlock.encode($0), hasKey: $0.key != nil) }
    }

    private static func acknowledge(_ receipt: LogReceipt, _ topic: TopicName, _ reply: HTTPReply) {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("events")
        writer.beginArray()
        for place in receipt.places {
            writer.beginObject()
            writer.member("partition", place.partition)
            writer.member("offset", Int(place.offset))
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        var headers = [("Content-Type", "application/json")]
        if let last = receipt.places.last {
            let position = LogPosition(RecordPlace(TopicPartition(topic, last.partition), last.offset))
            headers.append((LogPosition.header, position.description))
        }
        if receipt.isRepeated { headers.append(Self.repeatedHeader) }
        reply.respond(status: 202, headers: headers, body: writer.bytes)
    }

    /// On the answer of a request that had been accepted before.
    static let repeatedHeader = ("Apus-Repeated", "true")

    // MARK: consume

    func consume(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let (topic, configuration) = try self.existingTopic(parameters)
            let query = try self.query(exchange)
            if let name = query.unexpected(besides: ["from", "partition", "limit", "headers"]) {
                throw ApusError(
                    .invalidArgument,
                    "'\(name.prefix(64))' is no parameter here: from, partition, limit and headers are")
            }
            var reading = TopicReading(
                topic: topic, partitions: Array(0..<configuration.partitions), from: .position(.earliest),
                limit: try self.number(query, "limit", default: 100, in: 1...Limits.Server.eventsPerRead),
                headers: query["headers"] == "true"
            )
            if query["partition"] != nil {
                reading.partitions = [
                    try self.number(query, "partition", default: 0, in: 0...configuration.partitions - 1)
                ]
            }
            let follows = exchange.header("Accept")?.contains(ServerSentEvent.mediaType) ?? false
            reading.from = try TopicReading.From(query["from"] ?? (follows ? "latest" : "earliest"))
            try reading.from.check(partitions: configuration.partitions)
            if follows {
                EventStream(exchange, self.runtime, self.server.log, self.server.reader, reading).start()
            } else {
                self.readOnce(reading, exchange)
            }
        }
    }

    private func readOnce(_ reading: TopicReading, _ exchange: HTTPExchange) {
        let reply = exchange.reply()
        let log = self.server.log
        let isQueued = self.server.reader.run {
            do throws(ApusError) {
                let page = try reading.read(log)
                var body: [UInt8] = [UInt8(ascii: "[")]
                for (index, event) in page.events.enumerated() {
                    if index > 0 { body.append(UInt8(ascii: ",")) }
                    body.append(contentsOf: event.json)
                }
                body.append(UInt8(ascii: "]"))
                let next = page.next.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value)" }.joined(separator: ",")
                reply.respond(
                    status: 200,
                    headers: [("Content-Type", "application/cloudevents-batch+json"), ("Apus-Next", next)], body: body)
            } catch {
                reply.respond(Problem(error))
            }
        }
        if !isQueued { exchange.respond(Problem(.overloaded, "too many reads wait: try again in a moment")) }
    }

    // MARK: the topics themselves

    func listTopics(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let namespace = try self.namespace(parameters)
            self.answerFromStore(exchange) { server throws(ApusError) in
                let rows = try server.projection.query { (projection) throws(ApusError) in
                    try projection.topics(in: namespace)
                }
                return StoreAnswer([
                    "items": .array(try rows.map { (row) throws(ApusError) in try Self.topicJSON(row, server) })
                ])
            }
        }
    }

    func describeTopic(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let (topic, _) = try self.existingTopic(parameters)
            let namespace = try self.namespace(parameters)
            let name = topic.local?.name ?? topic.onLog
            self.answerFromStore(exchange) { server throws(ApusError) in
                let row = try server.projection.query { (projection) throws(ApusError) in
                    try projection.topic(namespace, name)
                }
                guard let row else {
                    throw ApusError(.topicNotFound, "the topic '\(topic)' does not exist: see `apus get topics`")
                }
                return StoreAnswer(try Self.topicJSON(row, server))
            }
        }
    }

    private static func topicJSON(_ row: TopicRow, _ server: Server) throws(ApusError) -> JSONValue {
        guard let namespace = Namespace(row.namespace), let topic = TopicName(namespace, row.name) else {
            throw ApusError(.internal, "the projection holds a topic of no valid name")
        }
        let configuration = server.log.topic(topic) ?? TopicConfiguration()
        var partitions: [JSONValue] = []
        for partition in 0..<configuration.partitions {
            let bounds = try server.log.bounds(of: TopicPartition(topic, partition))
            partitions.append([
                "partition": .number(partition), "start": .number(bounds.start), "end": .number(bounds.end),
            ])
        }
        return [
            "name": .string(row.name), "namespace": .string(row.namespace), "generation": .number(row.generation),
            "compact": .boolean(configuration.isCompacted), "partitions": .array(partitions),
            "manifest": (try? JSONValue.parse(row.manifest)) ?? .null, "created": .string(RFC3339.format(row.created)),
            "updated": .string(RFC3339.format(row.updated)),
        ]
    }

    func putTopic(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.put(exchange, parameters, kind: .topic)
    }

    func deleteTopic(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let topic = try self.topic(parameters)
            let name = topic.local?.name ?? topic.onLog
            self.command(
                .deleteTopic(try self.namespace(parameters), name, ifMatch: try self.ifMatch(exchange)), exchange)
        }
    }
}
