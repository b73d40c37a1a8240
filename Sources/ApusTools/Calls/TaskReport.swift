public import ApusCore

/// A task as its client is told of it: what the extension `io.modelcontextprotocol/tasks` says of one.
public struct TaskReport: Sendable, Equatable {
    public enum State: Sendable, Equatable {
        /// To any other.
        case working
        /// Its client is asked, JSON as `inputRequests` holds it. To any other.
        case inputRequired([UInt8])
        /// The result of its call, JSON, an object.
        case completed([UInt8])
        case failed(RPCError)
        case cancelled

        var name: String {
            switch self {
            case .working: "working"
            case .inputRequired: "input_required"
            case .completed: "completed"
            case .failed: "failed"
            case .cancelled: "cancelled"
            }
        }
    }

    public var id: String
    public var state: State
    /// For people.
    public var message: String?
    public var created: Timestamp
    public var updated: Timestamp
    /// How long it is kept, from its beginning.
    public var kept: TimeSpan

    public init(
        id: String, state: State, message: String? = nil, created: Timestamp, updated: Timestamp, kept: TimeSpan
    ) {
        self.id = id
        self.state = state
        self.message = message
        self.created = created
        self.updated = updated
        self.kept = kept
    }

    /// What the answer to a call says of the task that was made of it.
    public var members: [UInt8] {
        var json = Array(#""taskId":"#.utf8)
        JSONText.append(self.id, to: &json)
        json.append(contentsOf: #","status":"\#(self.state.name)""#.utf8)
        if let message, !message.isEmpty {
            var text = Array(#","statusMessage":"#.utf8)
            JSONText.append(message, to: &text)
            json.append(contentsOf: JSONCleaner.clean(text))
        }
        json.append(contentsOf: #","createdAt":"\#(RFC3339.format(self.created))""#.utf8)
        json.append(contentsOf: #","lastUpdatedAt":"\#(RFC3339.format(self.updated))""#.utf8)
        json.append(contentsOf: #","ttlMs":\#(self.kept.milliseconds)"#.utf8)
        json.append(contentsOf: #","pollIntervalMs":\#(Limits.Tools.taskPollMilliseconds)"#.utf8)
        return json
    }

    /// The same with what it came to, or what it asks.
    public var detailedMembers: [UInt8] {
        var json = self.members
        switch self.state {
        case .working, .cancelled: break
        case .inputRequired(let questions):
            json.append(contentsOf: #","inputRequests":"#.utf8)
            json.append(contentsOf: questions)
        case .completed(let result):
            json.append(contentsOf: #","result":"#.utf8)
            json.append(contentsOf: result)
        case .failed(let error):
            json.append(contentsOf: #","error":{"code":\#(error.code.rawValue),"message":"#.utf8)
            JSONText.append(error.message, to: &json)
            json.append(UInt8(ascii: "}"))
        }
        return json
    }
}
