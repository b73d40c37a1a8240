internal import ApusCore
internal import CRDKafka
internal import Glibc
internal import Synchronization

/// A client of librdkafka, owned: destroyed once, with its threads.
struct KafkaHandle: ~Copyable {
    let pointer: OpaquePointer
    private let context: Unmanaged<KafkaContext>

    init(_ type: rd_kafka_type_t, _ properties: KafkaProperties, _ context: KafkaContext) throws(KafkaFailure) {
        let conf = try properties.makeConfiguration()
        let context = Unmanaged.passRetained(context)
        rd_kafka_conf_set_opaque(conf, context.toOpaque())
        rd_kafka_conf_set_log_cb(conf, kafkaLog)
        rd_kafka_conf_set_stats_cb(conf, kafkaStatistics)
        rd_kafka_conf_set_error_cb(conf, kafkaError)
        if properties.isMember { rd_kafka_conf_set_rebalance_cb(conf, kafkaRebalanced) }
        if type == RD_KAFKA_PRODUCER { rd_kafka_conf_set_dr_msg_cb(conf, kafkaDelivered) }
        var bytes = [CChar](repeating: 0, count: 512)
        guard let pointer = rd_kafka_new(type, conf, &bytes, bytes.count) else {
            rd_kafka_conf_destroy(conf)
            context.release()
            throw KafkaFailure(RD_KAFKA_RESP_ERR__INVALID_ARG, "make a client", text(of: bytes))
        }
        self.pointer = pointer
        self.context = context
    }

    deinit {
        rd_kafka_destroy_flags(self.pointer, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
        // Only now does no callback use it any more.
        self.context.release()
    }
}

/// What the callbacks of a client find: its name, who listens, and where its deliveries go.
final class KafkaContext: @unchecked Sendable {
    let name: String
    let observer: KafkaObserver
    // SAFETY: set before the first record is produced and called only inside `rd_kafka_poll` and its kin, which the one thread that
    // produces calls.
    var onDelivery: ((UnsafePointer<rd_kafka_message_t>) -> Void)?
    // SAFETY: set before the client subscribes and called only inside `rd_kafka_consumer_poll`, on the thread of its group.
    var onRebalance:
        ((OpaquePointer, rd_kafka_resp_err_t, UnsafeMutablePointer<rd_kafka_topic_partition_list_t>) -> Void)?
    private let lastError = Mutex<String?>(nil)

    init(name: String, observer: KafkaObserver) {
        self.name = name
        self.observer = observer
    }

    /// What was wrong last: for the message of a request that got no answer.
    var error: String? { self.lastError.withLock { $0 } }
    func note(_ error: String?) { self.lastError.withLock { $0 = error } }
}

/// A client with what is made for it: its callbacks' context and its handles of topics.
final class KafkaClient: @unchecked Sendable {
    // SAFETY: librdkafka's handles are made for use from many threads; both are constant, and what changes is behind a mutex.
    private let handle: KafkaHandle
    let context: KafkaContext
    let structured: StructuredEventReader?
    let ending: KafkaEnding
    private struct Topics: @unchecked Sendable {
        // SAFETY: pointers of a thread-safe library, kept behind the mutex.
        var handles: [String: OpaquePointer] = [:]
    }
    private let topics = Mutex(Topics())

    init(_ configuration: KafkaLogConfiguration, _ role: KafkaProperties.Role, name: String) throws(KafkaFailure) {
        let client = "\(configuration.cluster)-\(name)"
        self.structured = configuration.structured
        self.ending = configuration.ending
        let context = KafkaContext(name: client, observer: configuration.observer)
        let type = if case .producer = role { RD_KAFKA_PRODUCER } else { RD_KAFKA_CONSUMER }
        self.handle = try KafkaHandle(type, KafkaProperties(configuration, role, client: client), context)
        self.context = context
    }

    deinit {
        self.topics.withLock { topics in
            for handle in topics.handles.values { rd_kafka_topic_destroy(handle) }
        }
    }

    /// Lent: valid as long as this object.
    var pointer: OpaquePointer { self.handle.pointer }

    /// The handle of a topic, lent.
    func topic(_ name: String) throws(KafkaFailure) -> OpaquePointer {
        let made = self.topics.withLock { topics -> OpaquePointer? in
            if let known = topics.handles[name] { return known }
            let made = rd_kafka_topic_new(self.pointer, name, nil)
            topics.handles[name] = made
            return made
        }
        guard let made else { throw KafkaFailure(rd_kafka_last_error(), "make a handle of the topic \(name)") }
        return made
    }

    /// Lets callbacks of this client run: statistics, errors, deliveries. Without waiting.
    func serve() { _ = rd_kafka_poll(self.pointer, 0) }

    /// How long one question may take.
    var requestMilliseconds: Int32 { self.ending.left(of: Limits.Kafka.requestMilliseconds) }

    /// Gives up what waits or is on its way once the log's end was waited for: its reports come at once then.
    /// - Returns: false when those have had their time too.
    func purgeAtTheEnd() -> Bool {
        guard self.ending.isOver() else { return true }
        _ = rd_kafka_purge(self.pointer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT)
        return !self.ending.isOver(by: Limits.Kafka.purgeMilliseconds)
    }

    /// Why nothing goes on with this client; nil while it works.
    var fatal: KafkaFailure? {
        var bytes = [CChar](repeating: 0, count: 512)
        let code = rd_kafka_fatal_error(self.pointer, &bytes, bytes.count)
        guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { return nil }
        var failure = KafkaFailure(code, "work", text(of: bytes))
        failure.isFatal = true
        return failure
    }
}

/// The text in a buffer that C wrote to.
func text(of bytes: [CChar]) -> String {
    String(decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}

// MARK: callbacks

private func context(_ opaque: UnsafeMutableRawPointer?) -> KafkaContext? {
    opaque.map { Unmanaged<KafkaContext>.fromOpaque($0).takeUnretainedValue() }
}

private func kafkaLog(
    _ client: OpaquePointer?, _ level: CInt, _ facility: UnsafePointer<CChar>?, _ text: UnsafePointer<CChar>?
) {
    guard let client, let text, let context = context(rd_kafka_opaque(client)) else { return }
    let facility = facility.map { String(cString: $0) } ?? ""
    context.observer.log(Int(level), context.name, "\(facility): \(String(cString: text))")
}

private func kafkaStatistics(
    _ client: OpaquePointer?, _ json: UnsafeMutablePointer<CChar>?, _ count: Int, _ opaque: UnsafeMutableRawPointer?
) -> CInt {
    if let json, let context = context(opaque) { context.observer.statistics(context.name, String(cString: json)) }
    return 0
}

private func kafkaError(
    _ client: OpaquePointer?, _ code: CInt, _ reason: UnsafePointer<CChar>?, _ opaque: UnsafeMutableRawPointer?
) {
    guard let context = context(opaque), let reason else { return }
    context.note(String(cString: reason))
}

private func kafkaDelivered(
    _ client: OpaquePointer?, _ message: UnsafePointer<rd_kafka_message_t>?, _ opaque: UnsafeMutableRawPointer?
) {
    if let message { context(opaque)?.onDelivery?(message) }
}

private func kafkaRebalanced(
    _ client: OpaquePointer?, _ code: rd_kafka_resp_err_t,
    _ list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?, _ opaque: UnsafeMutableRawPointer?
) {
    if let client, let list { context(opaque)?.onRebalance?(client, code, list) }
}
