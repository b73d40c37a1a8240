public import ApusEngine
internal import ApusJSON

/// What an accepted invocation waits for before it is begun: until then nothing of it runs, and no worker is started for it. Written as
/// the one question that it asks.
public enum InvocationHold: Sendable, Equatable {
    /// Its caller's person is asked, by the question that its state holds.
    case caller
    /// Somebody else decides about the approval of this name.
    case approval(String)

    /// Of the question, among those of the invocation.
    public static let question = "apus-approval"
    private static let method = "apus/approval"

    /// - Parameter questions: JSON, as the ledger and states hold them.
    /// - Returns: nil for what a handler asks.
    public init?(questions: [UInt8]) {
        guard let question = JSONMember.all(in: questions).first(where: { $0.name == Self.question }) else { return nil }
        self.init(question)
    }

    init?(_ question: JSONMember) {
        guard question.name == Self.question else { return nil }
        let value = try? JSONValue.parse(question.json)
        if value?["method"]?.string == Self.method, let name = value?["params"]?["id"]?.string {
            self = .approval(name)
        } else {
            self = .caller
        }
    }

    /// What an invocation is accepted with that waits for somebody else.
    public static func json(approval name: String) -> [UInt8] {
        let question: JSONValue = ["method": .string(Self.method), "params": ["id": .string(name)]]
        return JSONMember.object([JSONMember(name: Self.question, json: question.encoded())])
    }

    /// The answer that an approval gives.
    static let accepted = Array(#"{"action":"accept","content":{"approve":true}}"#.utf8)
}

/// What is known of an approval that an invocation waits for.
public enum HeldApproval: Sendable, Equatable {
    case waiting
    case accepted
    /// The invocation ends with this, and was never begun.
    case refused(Failure)
}
