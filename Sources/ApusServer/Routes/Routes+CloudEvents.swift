internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusLoop

/// What CloudEvents over HTTP ask for beside publishing and reading many: one event in any mode, and the webhook handshake.
extension Routes {
    func addCloudEvents(to table: inout RouteTable) {
        table.add(
            Operation(
                "readEvent", "GET", "/v1/topics/{topic}/events/{partition}/{offset}",
                "One event, in binary, structured or batched mode.", .read)
        ) { self.readEvent($0, $1) }
        table.add(
            Operation(
                "allowWebhook", "OPTIONS", "/v1/topics/{topic}/events",
                "Tells a sender of webhooks that it may send.", .publish)
        ) { self.allowWebhook($0, $1) }
    }

    private func allowWebhook(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let allow = [("Allow", "GET, HEAD, OPTIONS, POST")]
            guard let origin = exchange.header(WebhookGrant.originHeader) else {
                return exchange.respond(status: 204, headers: allow)
            }
            _ = try self.existingTopic(parameters)
            let grant = try WebhookGrant.headers(origin: origin, rate: exchange.header(WebhookGrant.rateHeader))
            exchange.respond(status: 200, headers: allow + grant)
        }
    }

    private func readEvent(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let (topic, configuration) = try self.existingTopic(parameters)
            guard let partition = Int(parameters["partition"] ?? ""), let offset = Offset(parameters["offset"] ?? ""),
                (0..<configuration.partitions).contains(partition), offset >= 0
            else {
                throw ApusError(
                    .notFound,
                    "an event is at …/events/PARTITION/OFFSET, with a partition of \(configuration.partitions)")
            }
            let accept = AcceptHeader(exchange.header("Accept"))
            let place = RecordPlace(TopicPartition(topic, partition), offset)
            let (reply, log) = (exchange.reply(), self.server.log)
            let isQueued = self.server.reader.run {
                do throws(ApusError) {
                    let answer = try Self.answer(place, log, accept)
                    reply.respond(
                        status: answer.body == nil ? 204 : 200,
                        headers: (answer.body == nil ? [] : [("Content-Type", answer.contentType)]) + answer.headers,
                        body: answer.body ?? [])
                } catch { reply.respond(Problem(error)) }
            }
            if !isQueued { throw ApusError(.overloaded, "too many reads wait: try again in a moment") }
        }
    }

    /// On a thread that may wait for pages.
    private static func answer(_ place: RecordPlace, _ log: any EventLog, _ accept: AcceptHeader) throws(ApusError)
        -> CloudEventAnswer
    {
        var found: Event?
        try log.records(at: [place]) { _, block in
            // Every record was checked when it was appended.
            if let block { found = try? EventBlock.decode(block.bytes) }
        }
        guard var event = found else {
            throw ApusError(
                .notFound,
                "the topic '\(place.partition.topic)' has no event \(place.offset) in partition "
                    + "\(place.partition.partition): it was not written yet, or retention took it")
        }
        if let reference = BlobReference(event.attributes), event.data?.isEmpty == true {
            event = BlobReference.whole(
                event, try BlobStore(log: log).data(reference, of: place.partition.topic))
        }
        return try CloudEventAnswer.of(
            event, CloudEventEncoder.Place(partition: place.partition.partition, offset: place.offset), accept: accept)
    }
}
