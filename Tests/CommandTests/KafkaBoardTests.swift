import ApusCore
import ApusServer
import ApusTestSupport
import Testing

@testable import apus

@Suite struct KafkaBoardTests {
    private static let statistics = """
        {"name": "apus-settler#producer-1", "msg_cnt": 3, "msg_size": 300,
         "brokers": {"a:9092/1": {"state": "UP", "rtt": {"avg": 2000}, "txerrs": 1, "txretries": 2, "req_timeouts": 3},
                     "b:9092/2": {"state": "DOWN", "rtt": {"avg": 5000}}},
         "topics": {"t": {"partitions": {"0": {"fetchq_size": 7}, "1": {"fetchq_size": 8}}}},
         "eos": {"txn_state": "InTransaction"}}
        """

    @Test func whatMattersOfAClientsStatisticsIsShown() throws {
        let figures = try #require(KafkaBoard.read("settler", Self.statistics))
        #expect(figures.brokersUp == 1 && figures.roundTrip == 0.005 && figures.requestsFailed == 6)
        #expect(figures.waitingRecords == 3 && figures.waitingBytes == 300 && figures.fetchedBytes == 15)
        #expect(figures.isTransactional == true)
        let fenced = Self.statistics.split(separator: "InTransaction").joined(separator: "FatalError")
        #expect(KafkaBoard.read("settler", fenced)?.isTransactional == false)
        #expect(KafkaBoard.read("reader", "{}")?.isTransactional == nil)
        #expect(KafkaBoard.read("reader", "no JSON") == nil)
    }

    @Test func aClientThatWasClosedIsForgotten() {
        let clock = ManualClock()
        let board = KafkaBoard { clock.now }
        board.take("old", "{}")
        clock.advance(by: .seconds(3_600))
        board.take("new", "{}")
        #expect(board.figures.map(\.client) == ["new"])
    }
}
