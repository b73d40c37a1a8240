public import ApusCore

/// A write that takes effect once, asked of the node that decides about its key: what a ``Command`` says beside the write's records.
public struct KeyedCommand: Sendable, Equatable {
    public var once: LogBatch.Once
    public var urgency: LogBatch.Urgency

    public init(_ once: LogBatch.Once, _ urgency: LogBatch.Urgency) {
        self.once = once
        self.urgency = urgency
    }

    /// Where writes with this key are decided: never beside what is deployed, which waits for nobody's events.
    public static func partition(of key: [UInt8]) -> Int {
        let number = key.count >= 4 ? key.span.bytes.littleEndian(at: 0, as: UInt32.self) : 0
        return 1 + Int(number % UInt32(Limits.ControlCommands.partitions - 1))
    }

    /// The command that asks for a batch.
    /// - Throws: `invalid_argument` for more than one command holds.
    public static func command(
        _ batch: LogBatch, _ once: LogBatch.Once, id: CommandID, deadline: Timestamp
    ) throws(ApusError) -> Command {
        let bytes = batch.appends.reduce(0) { $0 + $1.block.count }
        guard batch.appends.count <= Limits.ControlCommands.appends, bytes <= Limits.ControlCommands.keyedBytes else {
            throw ApusError(
                .invalidArgument,
                "a request with an idempotency key has at most \(Limits.ControlCommands.appends) events and "
                    + "\(Limits.ControlCommands.keyedBytes) bytes on Kafka; this one has \(batch.appends.count) and \(bytes): "
                    + "send them in several requests")
        }
        return Command(
            id: id, deadline: deadline, kind: .keyed, who: "", payload: KeyedCommand(once, batch.urgency).encode(),
            appends: batch.appends)
    }

    /// The batch of a command; nil when it is no such command.
    public static func batch(_ command: Command) -> LogBatch? {
        guard command.kind == .keyed, let keyed = KeyedCommand(decoding: command.payload) else { return nil }
        return LogBatch(urgency: keyed.urgency, appends: command.appends, once: keyed.once)
    }

    func encode() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(block: self.once.key)
        bytes.append(block: self.once.fingerprint)
        bytes.appendLittleEndian(self.once.keptUntil.microseconds)
        bytes.append(self.urgency == .producer ? 0 : 1)
        return bytes
    }

    init?(decoding bytes: [UInt8]) {
        var reader = CommandReader(bytes)
        do throws(CommandRecordError) {
            let key = try reader.block(max: Limits.logKeyBytes)
            let fingerprint = try reader.block(max: Limits.logKeyBytes)
            let keptUntil = Timestamp(microseconds: try reader.integer(Int64.self))
            let urgency = try reader.integer(UInt8.self)
            try reader.end()
            guard key.count == Limits.logKeyBytes, urgency <= 1 else { return nil }
            self.init(
                LogBatch.Once(key: key, fingerprint: fingerprint, keptUntil: keptUntil),
                urgency == 0 ? .producer : .settlement)
        } catch { return nil }
    }

    // MARK: the answer

    /// What the caller of such a command gets.
    public static func encode(_ receipt: LogReceipt) -> [UInt8] {
        [receipt.isRepeated ? 1 : 0] + OnceReceipt(fingerprint: [], receipt: receipt).encode()
    }

    public static func receipt(_ bytes: [UInt8]) throws(ApusError) -> LogReceipt {
        guard let first = bytes.first, var receipt = OnceReceipt(decoding: Array(bytes.dropFirst()))?.receipt else {
            throw ApusError(.internal, "the answer to a write with an idempotency key cannot be read")
        }
        receipt.isRepeated = first == 1
        return receipt
    }

    public static func == (left: KeyedCommand, right: KeyedCommand) -> Bool {
        left.once.key == right.once.key && left.once.fingerprint == right.once.fingerprint
            && left.once.keptUntil == right.once.keptUntil && left.urgency == right.urgency
    }
}
