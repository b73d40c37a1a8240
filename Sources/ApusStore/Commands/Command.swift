public import ApusCore

/// A write that some node asks for and one node decides: a record of `apus.commands`.
public struct Command: Sendable, Equatable {
    /// What the payload is. The numbers are on the log: none is ever used again.
    public enum Kind: UInt8, Sendable, CaseIterable {
        /// A ``ControlCommand`` as JSON.
        case control = 1
        /// A ``KeyedCommand``: a write that takes effect once.
        case keyed = 2
    }

    public var id: CommandID
    /// Past it the command is answered `expired` and never applied.
    public var deadline: Timestamp
    public var kind: Kind
    /// Who asked: only they are told what became of it.
    public var who: String
    public var payload: [UInt8]
    /// Records of other topics for the same transaction.
    public var appends: [LogBatch.Append]

    public init(
        id: CommandID, deadline: Timestamp, kind: Kind, who: String, payload: [UInt8], appends: [LogBatch.Append] = []
    ) {
        self.id = id
        self.deadline = deadline
        self.kind = kind
        self.who = who
        self.payload = payload
        self.appends = appends
    }

    /// Where it is decided: everything about what is deployed in one place.
    public var partition: Int {
        switch self.kind {
        case .control: 0
        case .keyed: KeyedCommand.partition(of: KeyedCommand(decoding: self.payload)?.once.key ?? [])
        }
    }
}

/// Why a record of `apus.commands` or `apus.answers` could not be read.
public enum CommandRecordError: Error, Sendable, Equatable {
    /// Of a later version.
    case unknownFormat(UInt8)
    case unknownKind(UInt8)
    case badLength
    case badText
    case badTopic
}
