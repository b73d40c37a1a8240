internal import ApusTelemetry

/// What one client of Kafka says of itself: the connections of a log on Kafka, as metrics show them.
public struct KafkaFigures: Sendable, Equatable {
    /// The part that it plays: `producer`, `settler`, `reader`, … A word of this code, never what a caller sent.
    public var client: String
    public var brokersUp = 0
    /// The slowest broker's mean, in seconds.
    public var roundTrip = 0.0
    /// Requests that failed, were tried again or not answered in time.
    public var requestsFailed = 0.0
    /// Records, and their bytes, that wait for their acknowledgement.
    public var waitingRecords = 0.0
    public var waitingBytes = 0.0
    /// What was fetched ahead and is not taken yet.
    public var fetchedBytes = 0.0
    /// Whether its transactional id may be used; nil for what is no transactional producer.
    public var isTransactional: Bool?

    public init(client: String) { self.client = client }

    /// Metrics with the labels of this client.
    var metrics: [(MetricDescription, Double, [String])] {
        var metrics = [
            (ServerMetric.kafkaBrokers, Double(self.brokersUp)), (ServerMetric.kafkaRoundTrip, self.roundTrip),
            (ServerMetric.kafkaFailed, self.requestsFailed), (ServerMetric.kafkaWaiting, self.waitingRecords),
            (ServerMetric.kafkaWaitingBytes, self.waitingBytes), (ServerMetric.kafkaFetched, self.fetchedBytes),
        ].map { ($0.0, $0.1, [self.client]) }
        if let isReady = self.isTransactional {
            metrics.append((ServerMetric.kafkaTransactional, isReady ? 1 : 0, [self.client]))
        }
        return metrics
    }
}
