internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusStore
internal import Synchronization

/// Seals secrets anew under the newest key, some at a time, each in one write with its neighbours. What a restart interrupts is done
/// by the next rotation: a secret is always sealed under one key or the other.
final class KeyRotation: Sendable {
    private struct State {
        var waiting: ArraySlice<SecretName>
        var resealed = 0
        var unreadable: [SecretName] = []
    }

    private let server: Server
    private let reply: HTTPReply
    private let state: Mutex<State>

    init(_ server: Server, _ names: [SecretName], _ reply: HTTPReply) {
        self.server = server
        self.reply = reply
        self.state = Mutex(State(waiting: names[...]))
    }

    func step() {
        let names = self.state.withLock { state in
            let next = state.waiting.prefix(Limits.Secrets.resealedAtOnce)
            state.waiting = state.waiting.dropFirst(next.count)
            return Array(next)
        }
        guard !names.isEmpty else { return self.finish() }
        let reseals: [SecretReseal]
        do throws(ApusError) { reseals = try self.reseal(names) } catch {
            return self.reply.respond(Problem(error))
        }
        self.server.control.perform(.resealSecrets(reseals)) { answer in
            switch answer {
            case .failure(let error): self.reply.respond(Problem(error))
            case .success(let done):
                self.state.withLock { $0.resealed += done.outcomes.count }
                self.step()
            }
        }
    }

    private func reseal(_ names: [SecretName]) throws(ApusError) -> [SecretReseal] {
        let (catalogue, keys) = (self.server.control.catalogue, self.server.vault.keys)
        var reseals: [SecretReseal] = []
        for name in names {
            guard let secret = catalogue.secrets[name], secret.sealed.key != keys.newest.id else { continue }
            guard keys.holds(secret.sealed.key) else {
                self.state.withLock { $0.unreadable.append(name) }
                continue
            }
            let value = try keys.open(secret.sealed, of: name)
            let (key, sealed) = try keys.seal(value, as: name, version: secret.sealed.version)
            reseals.append(SecretReseal(name: name, generation: secret.generation, key: key, sealed: sealed))
        }
        return reseals
    }

    private func finish() {
        let state = self.state.withLock { $0 }
        let json: JSONValue = [
            "key": .string(self.server.vault.keys.newest.id), "resealed": .number(state.resealed),
            "unreadable": .array(
                state.unreadable.map { ["namespace": .string($0.namespace.name), "name": .string($0.name)] }),
        ]
        self.reply.respond(status: 200, headers: [("Content-Type", "application/json")], body: json.encoded())
    }
}
