internal import ApusCore
internal import CRDKafka

/// What librdkafka refused or could not do, and at which step.
struct KafkaFailure: Error, CustomStringConvertible {
    let code: rd_kafka_resp_err_t
    let stage: String
    let text: String
    var isFatal = false
    var isRetriable = false
    var needsAbort = false

    init(_ code: rd_kafka_resp_err_t, _ stage: String, _ text: String? = nil) {
        self.code = code
        self.stage = stage
        self.text = text ?? String(cString: rd_kafka_err2str(code))
    }

    /// Takes the error over.
    init(taking error: OpaquePointer, _ stage: String) {
        self.code = rd_kafka_error_code(error)
        self.stage = stage
        self.text = String(cString: rd_kafka_error_string(error))
        self.isFatal = rd_kafka_error_is_fatal(error) != 0
        self.isRetriable = rd_kafka_error_is_retriable(error) != 0
        self.needsAbort = rd_kafka_error_txn_requires_abort(error) != 0
        rd_kafka_error_destroy(error)
    }

    var description: String { "\(self.stage): \(self.text) (\(String(cString: rd_kafka_err2name(self.code))))" }

    /// Another process works under the same transactional id.
    var isFenced: Bool {
        [
            RD_KAFKA_RESP_ERR__FENCED, RD_KAFKA_RESP_ERR_PRODUCER_FENCED, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
        ].contains(self.code)
    }

    /// For callers outside this module: what was tried, on what, and what to try.
    func apusError(_ what: String) -> ApusError {
        let name = String(cString: rd_kafka_err2name(self.code))
        switch self.code {
        case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
            RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
            return ApusError(.topicNotFound, "\(what): Kafka does not know the topic (\(name))", cause: self)
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
            return ApusError(
                .eventTooLarge,
                "\(what): the record is larger than the topic's max.message.bytes: raise it, or send less", cause: self)
        case _ where self.isFenced:
            return ApusError(
                .conflict,
                "\(what): another server works under this one's name on the same Kafka (\(name)): give each Apus its own `log.kafka.cluster`",
                cause: self)
        case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
            RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
            RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
            return ApusError(
                .logFailed, "\(what): Kafka's access lists do not allow it (\(name)): see docs/operating/kafka.md",
                cause: self)
        case RD_KAFKA_RESP_ERR__AUTHENTICATION, RD_KAFKA_RESP_ERR__SSL:
            return ApusError(
                .logFailed, "\(what): Kafka does not accept this client (\(name)): check `log.kafka.properties`",
                cause: self)
        default:
            return ApusError(.logFailed, "\(what): \(self.text) (\(name)); is Kafka up?", cause: self)
        }
    }
}

/// - Throws: the code, when it is an error.
func verify(_ code: rd_kafka_resp_err_t, _ stage: String) throws(KafkaFailure) {
    guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaFailure(code, stage) }
}

/// - Throws: the error, when there is one.
func verify(_ error: OpaquePointer?, _ stage: String) throws(KafkaFailure) {
    if let error { throw KafkaFailure(taking: error, stage) }
}
