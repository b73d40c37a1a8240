internal import ApusCore
internal import ApusCrypto
internal import ApusHTTP
internal import ApusJSON
internal import ApusLoop
internal import ApusStore

/// A value that is to be set. It is sealed for the version behind the newest one, and anew when another was set meanwhile.
final class SecretOrder: Sendable {
    private let name: SecretName
    private let value: SecretBytes
    private let principal: String

    init(name: SecretName, value: consuming SecretBytes, principal: String) {
        self.name = name
        self.value = value
        self.principal = principal
    }

    func perform(_ server: Server, attemptsLeft: Int, _ reply: HTTPReply) {
        let name = self.name
        let generation = server.control.catalogue.generation(.secret, name.namespace, name.name)
        let sealed: SealedSecret
        do throws(ApusError) {
            let (key, bytes) = try server.vault.keys.seal(self.value, as: name, version: generation + 1)
            sealed = SealedSecret(
                version: generation + 1, key: key, sealed: bytes, set: server.clock.now, setBy: self.principal)
        } catch { return reply.respond(Problem(error)) }
        server.control.perform(.setSecret(name, sealed, ifGeneration: generation)) { answer in
            switch answer {
            case .failure(let error) where error.code == .conflict && attemptsLeft > 1:
                self.perform(server, attemptsLeft: attemptsLeft - 1, reply)
            case .failure(let error): reply.respond(Problem(error))
            case .success(let done):
                guard let json = server.secretJSON(name, server.control.catalogue) else {
                    return reply.respond(Problem(name.isUnknown))
                }
                var headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
                if let place = done.position { headers.append((LogPosition.header, LogPosition(place).description)) }
                reply.respond(status: 200, headers: headers, body: json.encoded())
            }
        }
    }
}
