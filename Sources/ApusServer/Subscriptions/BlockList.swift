internal import ApusCore
internal import ApusEngine
internal import ApusJSON
internal import ApusStore

/// Why a trigger, or some of its partitions, cannot go on: each reason once for people, with the partitions that it is of.
struct BlockList {
    private struct Block {
        var code: String
        var message: String
        var partitions: [Int] = []
        var offset: Offset?
    }

    private let function: Catalogue.Function
    private let trigger: String
    private let isReplay: Bool
    private var blocks: [Block] = []

    init(_ function: Catalogue.Function, _ trigger: String, isReplay: Bool) {
        self.function = function
        self.trigger = trigger
        self.isReplay = isReplay
    }

    /// Something but a pause, and but what passes by itself, is in the way.
    var isBlocked: Bool { self.blocks.contains { !["paused", "behind_retry", "position_moved"].contains($0.code) } }

    mutating func addNotRunning() {
        self.blocks.append(Block(code: "not_running", message: "this server does not run it: its journal says why"))
    }

    mutating func addUnserved(_ workClass: WorkClass) {
        self.blocks.append(
            Block(
                code: "no_server",
                message: "no server has the class '\(workClass)': it waits for one whose `log.kafka.classes` names it"))
    }

    /// Somebody set the position with tools of the log's.
    mutating func addMoved(_ partition: Int, to offset: Offset) {
        self.blocks.append(
            Block(
                code: "position_moved",
                message:
                    "its position was set to \(offset) by another tool: pause and resume it to have that followed, or it is when a server takes it over",
                partitions: [partition], offset: offset))
    }

    mutating func add(_ partition: PartitionStatus) {
        for block in partition.blocks {
            var new = self.describe(block)
            // What is the same for all partitions is said once.
            if let known = self.blocks.firstIndex(where: { $0.code == new.code && $0.message == new.message }) {
                self.blocks[known].partitions.append(partition.partition)
            } else {
                new.partitions = [partition.partition]
                self.blocks.append(new)
            }
        }
    }

    private func describe(_ block: DeliveryBlock) -> Block {
        switch block {
        case .paused: Block(code: "paused", message: self.pause)
        case .logShort:
            Block(
                code: "log_short",
                message: "the log is short of room: outputs wait until retention or a larger disk gives some")
        case .logUnreadable: Block(code: "log_unreadable", message: "the log cannot be read: it is asked again")
        case .exhausted(let count, let first):
            Block(
                code: "exhausted",
                message:
                    "\(count) deliveries have used up their attempts and `onExhausted: block` keeps them, the first at offset \(first): mend the function, or choose a dead-letter topic",
                offset: first)
        case .startsFail(let failure, let until):
            Block(
                code: "start_failed",
                message: "its workers cannot start: \(failure.message) (next try \(RFC3339.format(until)))")
        case .tableNotFed:
            Block(
                code: "table_not_fed",
                message: "no worker has been fed the function's tables as far as the next event needs")
        case .behindRetry(let offset, let due):
            Block(
                code: "behind_retry",
                message:
                    "all that was read waits behind offset \(offset) of its key, which is tried again at \(RFC3339.format(due))",
                offset: offset)
        case .full(let count):
            Block(
                code: "full", message: "\(count) deliveries are unsettled, as many as may be, and none of them can run")
        case .writesFail(let message): Block(code: "write_failed", message: "outcomes cannot be written: \(message)")
        case .outputRefused(let message): Block(code: "output_refused", message: "outcomes cannot be written: \(message)")
        case .deadLetterRefused(let message):
            Block(code: "dead_letter_refused", message: "dead letters cannot be written: \(message)")
        }
    }

    private var pause: String {
        let own = self.isReplay ? nil : self.function.pauses.triggers[self.trigger]
        guard let pause = self.function.pauses.function ?? own else { return "paused by the manifest" }
        return "paused by \(pause.principal) since \(RFC3339.format(pause.since))"
    }

    var json: [JSONValue] {
        self.blocks.map { block in
            var json: JSONValue = [
                "code": .string(block.code), "message": .string(block.message),
                "partitions": .array(block.partitions.map { .number($0) }),
            ]
            if let offset = block.offset { json["offset"] = .integer(offset) }
            return json
        }
    }
}
