import ApusCore
import ApusTestSupport
import CRDKafka
import Testing

@testable import ApusLog

/// Offsets of groups while their coordinator moves, on librdkafka's own cluster: what a broker says then must never be taken for an answer.
/// A position that reads as missing would have an operator's move forgotten.
@Suite struct KafkaCoordinatorTests {
    /// Kafka's numbers of requests.
    private enum Request: Int16 {
        case commit = 8
        case fetch = 9
        case findCoordinator = 10
    }

    private struct Site {
        let cluster: KafkaMockCluster
        let offsets: GroupOffsets

        init() throws {
            self.cluster = try KafkaMockCluster(topics: ["in": 2])
            self.offsets = GroupOffsets(
                client: try KafkaClient(self.cluster.configuration, .positions(group: "tool"), name: "positions"))
        }

        func group(_ offset: Offset = -1, note: String = "") -> GroupOffsets.Group {
            GroupOffsets.Group(
                name: "group", places: [GroupOffsets.Place(topic: "in", partition: 1, offset: offset, note: note)])
        }

        /// Nil where nobody answers for now: whoever asks asks again.
        func ask(_ call: () throws(KafkaFailure) -> [GroupOffsets.Answer]) throws -> GroupOffsets.Place? {
            do throws(KafkaFailure) {
                return try call()[0].get().first
            } catch {
                #expect(error.isPassing, "\(error)")
                return nil
            }
        }

        func committed() throws -> GroupOffsets.Place? {
            try self.ask { () throws(KafkaFailure) in try self.offsets.committed([self.group()]) }
        }

        func set(_ offset: Offset, note: String) throws -> Bool {
            try self.ask { () throws(KafkaFailure) in try self.offsets.set([self.group(offset, note: note)]) } != nil
        }
    }

    private static let moves = [
        RD_KAFKA_RESP_ERR_NOT_COORDINATOR.rawValue, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS.rawValue,
        RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE.rawValue,
    ]

    /// Behaviours 9, 31.
    @Test(arguments: Self.moves, [1, 20])
    func whoAsksWhileACoordinatorMovesIsToldWhatIsThereOrToAskAgain(_ code: CInt, _ times: Int) throws {
        let site = try Site()
        try LogFixture.eventually("it is set") { try site.set(7, note: "somebody's") }
        for request in [Request.fetch, .findCoordinator] {
            site.cluster.fail(request.rawValue, Array(repeating: rd_kafka_resp_err_t(rawValue: code), count: times))
            try LogFixture.eventually("it is told, \(request)") {
                guard let found = try site.committed() else { return false }
                #expect(found.offset == 7 && found.note == "somebody's", "\(request): \(found)")
                return true
            }
        }
    }

    /// Behaviour 31.
    @Test(arguments: Self.moves, [1, 20])
    func whoSetsWhileACoordinatorMovesIsToldThatItIsThereOrToTryAgain(_ code: CInt, _ times: Int) throws {
        let site = try Site()
        for (index, request) in [Request.commit, .findCoordinator].enumerated() {
            let offset = Offset(10 + index)
            site.cluster.fail(request.rawValue, Array(repeating: rd_kafka_resp_err_t(rawValue: code), count: times))
            try LogFixture.eventually("it is set, \(request)") { try site.set(offset, note: "apus:\(offset)") }
            try LogFixture.eventually("it is told") {
                guard let found = try site.committed() else { return false }
                #expect(found.offset == offset && found.note == "apus:\(offset)", "\(request): \(found)")
                return true
            }
        }
    }
}
