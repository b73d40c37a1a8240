public import ApusCore

extension Command {
    /// Of the record's layout. A newer one is refused, not guessed at.
    static let format: UInt8 = 1

    /// The record for the log.
    /// - Throws: `limit_reached` for a command with more in it than one may have.
    public func event() throws(ApusError) -> Event {
        guard self.appends.count <= Limits.ControlCommands.appends else {
            throw ApusError(
                .limitReached,
                "the command has \(self.appends.count) records beside it; at most \(Limits.ControlCommands.appends) are possible"
            )
        }
        let data = self.encode()
        guard data.count <= Limits.ControlCommands.bytes else {
            throw ApusError(
                .limitReached,
                "the command has \(data.count) bytes; at most \(Limits.ControlCommands.bytes) are possible: deploy fewer documents at once"
            )
        }
        var event = Event(key: Array(self.id.description.utf8), data: data)
        event["type"] = "dev.apus.command"
        event["source"] = "apus"
        event["id"] = self.id.description
        return event
    }

    func encode() -> [UInt8] {
        var bytes: [UInt8] = [Self.format, self.kind.rawValue]
        bytes.append(id: self.id)
        bytes.appendLittleEndian(self.deadline.microseconds)
        bytes.append(text: self.who, max: Limits.ControlCommands.whoBytes)
        bytes.append(block: self.payload)
        bytes.appendLittleEndian(UInt16(self.appends.count))
        for append in self.appends {
            bytes.append(text: append.topic.onLog, max: Limits.topicNameBytes)
            bytes.appendLittleEndian(Int32(append.partition ?? -1))
            bytes.append(block: append.block)
        }
        return bytes
    }

    /// Reads a record of `apus.commands`.
    public init(_ event: Event) throws(CommandRecordError) {
        guard let data = event.data, data.count <= Limits.ControlCommands.bytes else { throw .badLength }
        var reader = CommandReader(data)
        let format = try reader.integer(UInt8.self)
        guard format == Self.format else { throw .unknownFormat(format) }
        let number = try reader.integer(UInt8.self)
        guard let kind = Kind(rawValue: number) else { throw .unknownKind(number) }
        self.init(
            id: try reader.id(), deadline: Timestamp(microseconds: try reader.integer(Int64.self)), kind: kind,
            who: try reader.text(max: Limits.ControlCommands.whoBytes),
            payload: try reader.block(max: Limits.ControlCommands.bytes))
        let count = Int(try reader.integer(UInt16.self))
        guard count <= Limits.ControlCommands.appends else { throw .badLength }
        for _ in 0..<count {
            guard let topic = TopicName(onLog: try reader.text(max: Limits.topicNameBytes)) else { throw .badTopic }
            let partition = try reader.integer(Int32.self)
            guard partition >= -1, partition < Limits.partitionsPerTopic else { throw .badLength }
            self.appends.append(
                LogBatch.Append(
                    topic: topic, partition: partition < 0 ? nil : Int(partition),
                    block: try reader.block(max: Limits.ControlCommands.bytes)))
        }
        try reader.end()
    }
}

extension LogBatch.Append {
    fileprivate static func same(_ left: Self, _ right: Self) -> Bool {
        left.topic == right.topic && left.partition == right.partition && left.block == right.block
    }
}

extension Command {
    public static func == (left: Command, right: Command) -> Bool {
        left.id == right.id && left.deadline == right.deadline && left.kind == right.kind && left.who == right.who
            && left.payload == right.payload && left.appends.count == right.appends.count
            && zip(left.appends, right.appends).allSatisfy { LogBatch.Append.same($0, $1) }
    }
}
