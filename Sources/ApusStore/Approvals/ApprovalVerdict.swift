internal import ApusCore
internal import ApusJSON

/// What somebody says of a call that waits.
public struct ApprovalVerdict: Sendable, Equatable {
    public var isAccepted: Bool
    /// Who says it.
    public var principal: String
    public var reason: String?

    public init(isAccepted: Bool, principal: String, reason: String? = nil) {
        self.isAccepted = isAccepted
        self.principal = principal
        self.reason = reason
    }
}

extension ApprovalVerdict {
    func write(into object: inout JSONObject) {
        object["accepted"] = .boolean(self.isAccepted)
        object["principal"] = .string(self.principal)
        object["reason"] = self.reason.map { .string($0) } ?? .null
    }

    init(commandJSON json: JSONValue) throws(ApusError) {
        guard let isAccepted = json["accepted"]?.boolean, let principal = json["principal"]?.string else {
            throw ControlCommand.wrong("accepted")
        }
        self.init(isAccepted: isAccepted, principal: principal, reason: json["reason"]?.string)
    }
}

extension ApprovalID {
    init(commandJSON json: JSONValue) throws(ApusError) {
        guard let id = json["id"]?.string.flatMap({ ApprovalID($0) }) else { throw ControlCommand.wrong("id") }
        self = id
    }
}

extension ApprovalRequest {
    init(commandJSON json: JSONValue) throws(ApusError) {
        do throws(ControlRecordError) { try self.init(json) } catch { throw ControlCommand.wrong("request") }
    }
}
