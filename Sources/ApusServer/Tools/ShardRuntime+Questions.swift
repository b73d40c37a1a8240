internal import ApusCore
internal import ApusEngine
internal import ApusTools

extension ShardRuntime {
    /// Why a caller cannot be asked what a function asks.
    static func refusal(of questions: [UInt8], askedOf capabilities: String) -> Failure? {
        do throws(ApusError) {
            let missing = try Questions(parsing: questions).needed.subtracting(ClientCapabilities(names: capabilities))
            guard !missing.isEmpty else { return nil }
            return Failure(
                .functionFailed,
                "the caller's client does not declare what this needs: \(missing.names.joined(separator: ", "))")
        } catch { return Failure(error.code, error.message) }
    }
}
