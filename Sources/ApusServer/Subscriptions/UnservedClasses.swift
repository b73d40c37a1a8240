internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusStore

/// Triggers of functions whose class no server has: no lane of theirs is open anywhere, so that how far they are is what the ledger of their
/// shares says. For one answer, on a thread that may wait for the log.
struct UnservedClasses {
    private let log: any EventLog
    /// Nil where one server does everything.
    private let sharing: (any WorkSharing)?
    private var known: [WorkClass: Bool] = [:]
    private var read: Set<Share> = []
    private var looks = 0

    init(log: any EventLog, sharing: (any WorkSharing)?) {
        self.log = log
        self.sharing = sharing
    }

    /// Where nobody can say, it is not said.
    mutating func contains(_ workClass: WorkClass) -> Bool {
        guard let sharing = self.sharing else { return false }
        if let known = self.known[workClass] { return known }
        let isUnserved: Bool
        do throws(ApusError) { isUnserved = try !sharing.hasNodes(workClass) } catch { isUnserved = false }
        self.known[workClass] = isUnserved
        return isUnserved
    }

    /// What a trigger has on the log that is not settled.
    /// - Parameters:
    ///   - starts: where it begins that settled nothing yet, in each partition; at the first record in others.
    ///   - ends: where it ends; nil for one that goes on.
    mutating func partitions(
        _ topic: TopicName, of workClass: WorkClass, ledger prefix: [UInt8], starts: [Offset], ends: [Offset]?
    ) -> [PartitionStatus] {
        guard let configuration = self.log.topic(topic) else { return [] }
        let count = min(ends?.count ?? configuration.partitions, Limits.Server.unservedPerRead - self.looks)
        self.looks += max(0, count)
        guard count > 0 else { return [] }
        let states = self.states(prefix, (0..<count).map { Share.of(topic, partition: $0, workClass) })
        return (0..<count).map { number in
            var status = PartitionStatus(partition: number)
            do throws(ApusError) {
                let bounds = try self.log.bounds(of: TopicPartition(topic, number))
                status.end = ends?[number] ?? bounds.end
                let state = states[number] ?? LedgerState(watermark: number < starts.count ? starts[number] : 0)
                // What retention took is no lag.
                let open = min(max(state.watermark, bounds.start), status.end)..<status.end
                let settled = state.settled.map { $0.clamped(to: open) }
                status.watermark = open.lowerBound
                status.position = max(open.lowerBound, settled.last { !$0.isEmpty }?.upperBound ?? 0)
                status.unsettled = Int(status.position - status.watermark) - settled.reduce(0) { $0 + $1.count }
            } catch { status.blocks.append(.logUnreadable) }
            return status
        }
    }

    /// What the ledger holds of the shares, by partition.
    private mutating func states(_ prefix: [UInt8], _ shares: [Share]) -> [Int: LedgerState] {
        var states: [Int: LedgerState] = [:]
        do throws(ApusError) {
            for share in Set(shares) where self.read.insert(share).inserted { try self.sharing?.read(share) }
            for entry in try self.log.ledger(prefix: prefix) {
                guard let partition = LedgerKey.partition(of: entry.key, prefix: prefix) else { continue }
                states[partition] = try LedgerKey.decode(entry.value)
            }
        } catch {
            // What cannot be read now counts whole: as behind as it can be.
            return states
        }
        return states
    }
}
