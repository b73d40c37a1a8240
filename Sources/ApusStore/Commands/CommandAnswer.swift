public import ApusCore

/// What became of a command: a record of `apus.answers`, on the partition of the command's number, in the transaction of whatever
/// the command wrote.
public struct CommandAnswer: Sendable, Equatable {
    public enum Outcome: Sendable, Equatable {
        /// What the caller gets, as the command's kind says it.
        case done([UInt8])
        case refused(ErrorCode, String)
    }

    public var id: CommandID
    /// As the command said it.
    public var who: String
    /// Of the command on its partition: whoever takes the partition over goes on behind the last answer.
    public var offset: Offset
    public var decided: Timestamp
    /// How many records of `apus.control` the command wrote: whoever waits has seen all of them before it goes on.
    public var records: Int
    /// The last record of `apus.control` that the decision knew; -1 when there was none.
    public var through: Offset
    public var outcome: Outcome

    public init(
        id: CommandID, who: String, offset: Offset, decided: Timestamp, records: Int = 0, through: Offset = -1,
        outcome: Outcome
    ) {
        self.id = id
        self.who = who
        self.offset = offset
        self.decided = decided
        self.records = records
        self.through = through
        self.outcome = outcome
    }
}

extension CommandAnswer {
    static let format: UInt8 = 1

    /// The record for the log. A longer message is cut off; a longer result is the server's own mistake.
    public var event: Event {
        var event = Event(key: Array(self.id.description.utf8), data: self.encode())
        event["type"] = "dev.apus.answer"
        event["source"] = "apus"
        event["id"] = self.id.description
        return event
    }

    func encode() -> [UInt8] {
        var bytes: [UInt8] = [Self.format]
        bytes.append(id: self.id)
        bytes.append(text: self.who, max: Limits.ControlCommands.whoBytes)
        bytes.appendLittleEndian(self.offset)
        bytes.appendLittleEndian(self.decided.microseconds)
        bytes.appendLittleEndian(UInt32(self.records))
        bytes.appendLittleEndian(self.through)
        switch self.outcome {
        case .done(let result):
            bytes.append(0)
            bytes.append(block: result)
        case .refused(let code, let message):
            bytes.append(1)
            bytes.append(text: code.rawValue, max: 64)
            bytes.append(text: message, max: Limits.ControlCommands.messageBytes)
        }
        return bytes
    }

    /// Reads a record of `apus.answers`.
    public init(_ event: Event) throws(CommandRecordError) {
        guard let data = event.data, data.count <= Limits.ControlCommands.bytes else { throw .badLength }
        var reader = CommandReader(data)
        let format = try reader.integer(UInt8.self)
        guard format == Self.format else { throw .unknownFormat(format) }
        let id = try reader.id()
        let who = try reader.text(max: Limits.ControlCommands.whoBytes)
        let offset = try reader.integer(Int64.self)
        let decided = Timestamp(microseconds: try reader.integer(Int64.self))
        let records = Int(try reader.integer(UInt32.self))
        let through = try reader.integer(Int64.self)
        let outcome: Outcome
        let number = try reader.integer(UInt8.self)
        switch number {
        case 0: outcome = .done(try reader.block(max: Limits.ControlCommands.bytes))
        case 1:
            let code = try reader.text(max: 64)
            // A later version's code is still a refusal.
            outcome = .refused(
                ErrorCode(rawValue: code) ?? .internal, try reader.text(max: Limits.ControlCommands.messageBytes))
        default: throw .unknownKind(number)
        }
        try reader.end()
        self.init(
            id: id, who: who, offset: offset, decided: decided, records: records, through: through, outcome: outcome)
    }
}
