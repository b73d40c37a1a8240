internal import ApusCore
internal import CRDKafka
internal import Glibc

/// One partition read from anywhere by a consumer that catches up. One thread at a time uses it.
final class CatchUpRead: @unchecked Sendable {
    // SAFETY: handed from thread to thread by ``CatchUp``, which gives it to one at a time.

    let client: KafkaClient
    let partition: KafkaPartition
    private let topic: OpaquePointer
    private let queue: OpaquePointer
    private(set) var next: Offset
    /// It has read as far as records are known to be.
    private(set) var isAtEnd = false
    private(set) var lastUsed = LogWriter.monotonicMilliseconds()
    /// Fetched and not asked for yet.
    private var waiting: Deque<UnsafeMutablePointer<rd_kafka_message_t>> = Deque()
    /// So much lay in the queue that librdkafka may have stopped fetching.
    private var mayHaveStopped = false

    init(_ client: KafkaClient, _ partition: KafkaPartition, from start: Offset) throws(KafkaFailure) {
        self.client = client
        self.partition = partition
        self.topic = try client.topic(partition.onKafka)
        guard let queue = rd_kafka_queue_new(client.pointer) else {
            throw KafkaFailure(RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, "make a queue")
        }
        self.queue = queue
        self.next = start
        try self.start()
    }

    deinit {
        rd_kafka_consume_stop(self.topic, Int32(self.partition.number))
        self.dropAll()
        rd_kafka_queue_destroy(self.queue)
    }

    private func start() throws(KafkaFailure) {
        guard rd_kafka_consume_start_queue(self.topic, Int32(self.partition.number), self.next, self.queue) == 0 else {
            throw KafkaFailure(rd_kafka_last_error(), "read \(self.partition.place) from \(self.next)")
        }
    }

    /// Whether it lies ahead and is here already.
    func isFetched(_ offset: Offset) -> Bool {
        offset >= self.next && self.waiting.last.map { $0.pointee.offset >= offset } ?? false
    }

    /// Goes on elsewhere. The consumer is stopped and started, which no version of librdkafka gets wrong, instead of told to seek.
    func move(to start: Offset) throws(KafkaFailure) {
        if start >= self.next, let first = self.waiting.first, first.pointee.offset <= start {
            self.next = start
            return
        }
        rd_kafka_consume_stop(self.topic, Int32(self.partition.number))
        self.dropAll()
        self.next = start
        try self.start()
    }

    /// Reads on, waiting for records when there are none yet.
    /// - Parameter end: as far as records are known to be; what lies behind is not waited for.
    /// - Returns: a chunk that begins where this read stood; after it, this read stands at its end.
    func chunk(upTo end: Offset, maxRecords: Int, maxBytes: Int) throws(KafkaFailure) -> RecordChunk {
        var chunk = ChunkBuilder(first: self.next, expected: min(maxRecords, self.waiting.count + 1))
        let deadline = self.client.ending.until(LogWriter.monotonicMilliseconds() + Limits.Kafka.readMilliseconds)
        while chunk.next < end, chunk.count < maxRecords, chunk.byteCount < maxBytes {
            if self.waiting.isEmpty {
                // What is here can be used; the next call waits for more.
                if chunk.count > 0, !self.fill(milliseconds: 0) { break }
                let left = deadline - LogWriter.monotonicMilliseconds()
                guard left > 0 else {
                    let why = self.client.context.error ?? "no records came"
                    throw KafkaFailure(
                        RD_KAFKA_RESP_ERR__TIMED_OUT, "read \(self.partition.place) from \(chunk.next) to \(end)", why)
                }
                if self.waiting.isEmpty, !self.fill(milliseconds: Int32(left)) { continue }
            }
            guard let message = self.waiting.first else { continue }
            if message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR, message.pointee.offset >= end {
                chunk.pass(to: end)
                break
            }
            _ = self.waiting.popFirst()
            defer { rd_kafka_message_destroy(message) }
            try self.take(message, &chunk, end)
        }
        self.next = chunk.next
        self.isAtEnd = chunk.next >= end && self.waiting.isEmpty
        self.lastUsed = LogWriter.monotonicMilliseconds()
        return chunk.finish()
    }

    private func take(
        _ message: UnsafeMutablePointer<rd_kafka_message_t>, _ chunk: inout ChunkBuilder, _ end: Offset
    ) throws(KafkaFailure) {
        switch message.pointee.err {
        case RD_KAFKA_RESP_ERR_NO_ERROR:
            // librdkafka may repeat what it gave before.
            guard message.pointee.offset >= chunk.next else { return }
            chunk.append(message.pointee.offset) {
                KafkaRecord.append(message, topic: self.partition.onKafka, self.client.structured, to: $0)
            }
        case RD_KAFKA_RESP_ERR__PARTITION_EOF:
            // Short of the end that is known: the transaction's last step is under way, and its records come in a moment.
            if message.pointee.offset > chunk.next { chunk.pass(to: min(message.pointee.offset, end)) }
        case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
            RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
            throw KafkaFailure(message.pointee.err, "read \(self.partition.place)")
        default: self.client.context.note(String(cString: rd_kafka_err2str(message.pointee.err)))
        }
    }

    /// - Returns: whether there is something now.
    private func fill(milliseconds: Int32) -> Bool {
        if milliseconds > 0 {
            // A batch is waited for until it is full; one message is not.
            guard let message = rd_kafka_consume_queue(self.queue, milliseconds) else { return false }
            self.waiting.append(message)
        }
        withUnsafeTemporaryAllocation(
            of: UnsafeMutablePointer<rd_kafka_message_t>?.self, capacity: Limits.Kafka.messagesPerBatch
        ) { buffer in
            let lying = rd_kafka_queue_length(self.queue)
            let count = max(0, rd_kafka_consume_batch_queue(self.queue, 0, buffer.baseAddress, buffer.count))
            var bytes = 0
            for index in 0..<count {
                guard let message = buffer[index] else { continue }
                bytes += message.pointee.len + message.pointee.key_len
                self.waiting.append(message)
            }
            if count > 0 { self.wakeFetching(lying: lying, taken: count, bytes: bytes) }
        }
        return !self.waiting.isEmpty
    }

    /// Where what was fetched ahead has met its bound, librdkafka 2.0.2 looks again only after a second, or when it has something else
    /// to send: so it is given something once there is room again. That waits for an answer, behind what is being fetched, so it is
    /// not done while the bound is far away.
    private func wakeFetching(lying: Int, taken: Int, bytes: Int) {
        let (bound, each) = (Limits.Kafka.fetchAheadKibibytes << 10, max(1, bytes / taken))
        if lying * each >= bound / 2 { self.mayHaveStopped = true }
        guard self.mayHaveStopped, (lying - taken) * each < bound / 4 else { return }
        self.mayHaveStopped = false
        var (start, end) = (Offset(0), Offset(0))
        _ = rd_kafka_query_watermark_offsets(
            self.client.pointer, self.partition.onKafka, Int32(self.partition.number), &start, &end,
            Limits.Kafka.wakeMilliseconds)
    }

    /// Everything fetched before the consumer stopped: it would be taken for what comes after it starts.
    private func dropAll() {
        while self.fill(milliseconds: 0) {
            while let message = self.waiting.popFirst() { rd_kafka_message_destroy(message) }
        }
    }
}
