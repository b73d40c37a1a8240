internal import ApusCore
internal import CKafkaShims
internal import CRDKafka

/// A producer with what became of the records it was given. The writer's thread alone uses it.
final class KafkaProducer: RecordFates {
    let client: KafkaClient
    private let deliveries = Deliveries()

    /// What became of each record of the batch under way, by its index.
    private final class Deliveries {
        var offsets: [Offset] = []
        var codes: [rd_kafka_resp_err_t] = []
        var outstanding = 0
    }

    init(_ configuration: KafkaLogConfiguration, transactionalID: String?) throws(KafkaFailure) {
        let name = transactionalID == nil ? "producer" : "settler"
        self.client = try KafkaClient(configuration, .producer(transactionalID: transactionalID), name: name)
        let deliveries = self.deliveries
        self.client.context.onDelivery = { message in
            let index = Int(bitPattern: message.pointee._private) - 1
            guard deliveries.offsets.indices.contains(index) else { return }
            deliveries.offsets[index] = message.pointee.offset
            deliveries.codes[index] = message.pointee.err
            deliveries.outstanding -= 1
        }
    }

    /// Begins a batch of so many records; none of an earlier one may be under way.
    func begin(_ count: Int) {
        self.deliveries.offsets = Array(repeating: -1, count: count)
        self.deliveries.codes = Array(repeating: RD_KAFKA_RESP_ERR_NO_ERROR, count: count)
        self.deliveries.outstanding = 0
    }

    /// Queues one; a full queue is waited for.
    func produce(_ index: Int, _ send: () -> rd_kafka_resp_err_t) {
        var code = send()
        while code == RD_KAFKA_RESP_ERR__QUEUE_FULL, self.client.purgeAtTheEnd() {
            _ = rd_kafka_poll(self.client.pointer, 100)
            code = send()
        }
        if code == RD_KAFKA_RESP_ERR_NO_ERROR {
            self.deliveries.outstanding += 1
        } else {
            self.deliveries.codes[index] = code
        }
    }

    /// Queues a key and a value as they are; without a value it is a tombstone.
    func produce(
        _ index: Int, key: [UInt8], value: [UInt8]?, topic: String, partition: Int, _ time: Timestamp
    ) {
        self.produce(index) {
            guard let topic = try? self.client.topic(topic) else { return RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC }
            let code = key.withUnsafeBytes { key in
                // An empty value is no tombstone: one byte more gives it an address.
                ((value ?? []) + [0]).withUnsafeBytes { bytes in
                    apus_kafka_produce(
                        UnsafeMutableRawPointer(self.client.pointer), UnsafeMutableRawPointer(topic),
                        Int32(partition), key.baseAddress, key.count, value == nil ? nil : bytes.baseAddress,
                        value?.count ?? 0, time.milliseconds, nil, UnsafeMutableRawPointer(bitPattern: index + 1))
                }
            }
            return rd_kafka_resp_err_t(code)
        }
    }

    /// Waits until the fate of every record is known, which its time-out bounds.
    func finish() {
        while self.deliveries.outstanding > 0, self.client.fatal == nil, self.client.purgeAtTheEnd() {
            _ = rd_kafka_flush(self.client.pointer, 1_000)
        }
    }

    func offset(_ index: Int) -> Offset { self.deliveries.offsets[index] }

    func failure(_ index: Int) -> KafkaFailure? {
        let code = self.deliveries.codes[index]
        if code != RD_KAFKA_RESP_ERR_NO_ERROR { return KafkaFailure(code, "append", self.why(code)) }
        // Given up with its producer.
        return self.deliveries.offsets[index] < 0
            ? self.client.fatal ?? KafkaFailure(RD_KAFKA_RESP_ERR__FAIL, "append") : nil
    }

    /// A record that waited too long says nothing of why.
    private func why(_ code: rd_kafka_resp_err_t) -> String? {
        code == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT ? self.client.context.error : nil
    }
}
