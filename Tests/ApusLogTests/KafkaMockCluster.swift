import CRDKafka
import Testing

@testable import ApusLog

/// librdkafka's own cluster of one broker, in this process.
final class KafkaMockCluster {
    let client: KafkaClient
    private let cluster: OpaquePointer
    let configuration: KafkaLogConfiguration

    /// - Parameter topics: their partitions by their names.
    init(
        deliveryMilliseconds: Int = 20_000, topics: [String: Int] = ["a": 1],
        _ change: (inout KafkaLogConfiguration) -> Void = { _ in }
    ) throws {
        // A producer of its own is what the cluster lives in.
        self.client = try KafkaClient(
            KafkaLogConfiguration(bootstrap: "127.0.0.1:1"), .producer(transactionalID: nil), name: "mock")
        self.cluster = try #require(rd_kafka_mock_cluster_new(self.client.pointer, 1))
        for (topic, partitions) in topics {
            rd_kafka_mock_topic_create(self.cluster, topic, Int32(partitions), 1)
        }
        var configuration = KafkaLogConfiguration(
            bootstrap: String(cString: rd_kafka_mock_cluster_bootstraps(self.cluster)))
        configuration.deliveryMilliseconds = deliveryMilliseconds
        change(&configuration)
        self.configuration = configuration
    }

    deinit { rd_kafka_mock_cluster_destroy(self.cluster) }

    /// The next answers to requests of one kind, by Kafka's number of it.
    func fail(_ request: Int16, _ errors: [rd_kafka_resp_err_t]) {
        rd_kafka_mock_push_request_errors_array(self.cluster, request, errors.count, errors)
    }

    func failProduce(_ errors: [rd_kafka_resp_err_t]) {
        rd_kafka_mock_push_request_errors_array(self.cluster, 0, errors.count, errors)
    }

    /// The next answers to requests that tell members of a group their parts (SyncGroup).
    func failParts(_ errors: [rd_kafka_resp_err_t]) {
        rd_kafka_mock_push_request_errors_array(self.cluster, 14, errors.count, errors)
    }

    func setRoundTrip(milliseconds: CInt) { rd_kafka_mock_broker_set_rtt(self.cluster, 1, milliseconds) }

    func setDown(_ isDown: Bool) {
        if isDown {
            rd_kafka_mock_broker_set_down(self.cluster, 1)
        } else {
            rd_kafka_mock_broker_set_up(self.cluster, 1)
        }
    }
}
