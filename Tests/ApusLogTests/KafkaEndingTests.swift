import ApusCore
import ApusTestSupport
import CRDKafka
import Glibc
import Testing

@testable import ApusLog

/// The end of members of a group at moments at which librdkafka 2.0.2 ends the process, each in a process of its own.
@Suite struct KafkaEndingTests {
    private struct Site {
        let cluster: KafkaMockCluster

        init() throws { self.cluster = try KafkaMockCluster(topics: ["shares": 4]) }

        func member() throws -> KafkaMember {
            let membership = KafkaGroup.Membership(
                group: "group", topic: "shares", node: "node", sessionMilliseconds: 6_000)
            return try KafkaMember(self.cluster.configuration, membership) { client, _, list in
                _ = rd_kafka_incremental_assign(client, list)
            }
        }
    }

    @Test func aMemberThatWasLetInAndNotToldItsPartEndsWithoutTheProcess() async {
        await #expect(processExitsWith: .success) {
            let site = try Site()
            // Wide enough to be met: its part comes a round trip after it was let in.
            site.cluster.setRoundTrip(milliseconds: 300)
            var member: KafkaMember? = try site.member()
            let isLetIn = waitUntil(seconds: 30) { member?.wasLetIn ?? false }
            precondition(isLetIn, "it was let in")
            precondition(member?.wasTold == false, "it was told nothing yet")
            member?.end()
            precondition(member?.wasTold == true, "the end waited for its part")
            member = nil
            precondition(ParkedMembers.count == 0, "nothing is kept")
            exit(0)
        }
    }

    @Test func aMemberThatIsNeverToldItsPartIsKept() async {
        await #expect(processExitsWith: .success) {
            let site = try Site()
            // What the group answers while its coordinator moves.
            site.cluster.failParts(Array(repeating: RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, count: 1_000))
            var member: KafkaMember? = try site.member()
            let isLetIn = waitUntil(seconds: 30) { member?.wasLetIn ?? false }
            precondition(isLetIn, "it was let in")
            member?.end()
            precondition(member?.wasTold == false, "it was never told")
            member = nil
            precondition(ParkedMembers.count == 1, "it is kept")
            exit(0)
        }
    }

    @Test func aMemberThatWasNotLetInEndsAtOnce() async {
        await #expect(processExitsWith: .success) {
            let site = try Site()
            for _ in 0..<10 {
                let member = try site.member()
                member.end()
            }
            precondition(ParkedMembers.count == 0, "nothing is kept")
            exit(0)
        }
    }

    /// A node whose members cannot be ended adds no threads without a bound.
    @Test func aNodeThatKeepsAsManyMembersAsItMayMakesNoMore() async {
        await #expect(processExitsWith: .success) {
            let site = try Site()
            for index in 0..<Limits.Kafka.parkedMembers {
                precondition(!ParkedMembers.isFull, "\(index) are not too many")
                ParkedMembers.keep(try KafkaClient(site.cluster.configuration, .admin, name: "kept"))
            }
            precondition(ParkedMembers.isFull, "the bound is reached")
            exit(0)
        }
    }
}
