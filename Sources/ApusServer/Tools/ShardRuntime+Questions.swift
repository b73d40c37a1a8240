internal import ApusCore
internal import ApusEngine
internal import ApusTools

extension ShardRuntime {
    /// Why a caller cannot be asked what a function asks.
    static func refusal(of questions: [UInt8], askedOf capabilities: String) -> Failure? {
        do throws(ApusError) {
            let questions = try Questions(parsing: questions)
            // Nobody but the server asks that.
            guard !questions.all.contains(where: { $0.name == ApprovalQuestion.name }) else {
                return Failure(.protocolError, "a function's question may not be called \(ApprovalQuestion.name)")
            }
            let missing = questions.needed.subtracting(ClientCapabilities(names: capabilities))
            guard !missing.isEmpty else { return nil }
            return Failure(
                .functionFailed,
                "the caller's client does not declare what this needs: \(missing.names.joined(separator: ", "))")
        } catch { return Failure(error.code, error.message) }
    }

    /// Why a task does not begin about which its caller's person was asked.
    static func refusal(ofApproval answer: [UInt8]) -> Failure? {
        switch ApprovalAnswer(answer) {
        case .accepted: nil
        case .declined: Failure(.functionRejected, ApprovalText.refusal(.declined, nil))
        case .cancelled, nil: Failure(.functionRejected, ApprovalText.refusal(.cancelled, nil))
        }
    }
}
