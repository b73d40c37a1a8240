internal import ApusCore
internal import ApusCrypto
internal import ApusHTTP
internal import ApusJSON
internal import ApusStore

/// Secrets: set, listed without their values, deleted, sealed anew. No answer ever holds a value.
extension Routes {
    func addSecrets(to table: inout RouteTable) {
        table.add(
            Operation("listSecrets", "GET", "/v1/secrets", "The secrets, without their values.", .read)
        ) { self.listSecrets($0, $1) }
        table.add(
            Operation("getSecret", "GET", "/v1/secrets/{name}", "What is known of a secret but its value.", .read)
        ) { self.getSecret($0, $1) }
        table.add(
            Operation("setSecret", "PUT", "/v1/secrets/{name}", "Sets a secret to the bytes of the body.", .deploy)
        ) { self.setSecret($0, $1) }
        table.add(
            Operation("deleteSecret", "DELETE", "/v1/secrets/{name}", "Deletes a secret that nothing uses.", .deploy)
        ) { self.deleteSecret($0, $1) }
        table.add(
            Operation(
                "rotateKey", "POST", "/v1/key-rotations", "Seals every secret under the newest master key.", .server([])
            )
        ) { exchange, _ in self.rotateKey(exchange) }
    }

    private func secret(_ parameters: RouteParameters) throws(ApusError) -> SecretName {
        let text = parameters["name"] ?? ""
        guard let name = SecretName(try self.namespace(parameters), text) else {
            throw ApusError(
                .invalidArgument,
                "'\(text.prefix(64))' is no secret's name: 1 to \(Limits.Secrets.nameBytes) letters, digits and _ are allowed, no digit first"
            )
        }
        return name
    }

    func listSecrets(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let namespace = try self.namespace(parameters)
            self.answerFromStore(exchange) { server in
                let catalogue = server.control.catalogue
                let names = catalogue.secrets.keys.filter { $0.namespace == namespace }.sorted()
                return StoreAnswer(["items": .array(names.compactMap { server.secretJSON($0, catalogue) })])
            }
        }
    }

    func getSecret(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let name = try self.secret(parameters)
            self.answerFromStore(exchange) { (server) throws(ApusError) in
                guard let json = server.secretJSON(name, server.control.catalogue) else { throw name.isUnknown }
                return StoreAnswer(json)
            }
        }
    }

    func setSecret(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let name = try self.secret(parameters)
            guard (1...Limits.Secrets.valueBytes).contains(exchange.body.count) else {
                throw ApusError(
                    exchange.body.isEmpty ? .invalidArgument : .bodyTooLarge,
                    "a secret has 1 to \(Limits.Secrets.valueBytes) bytes, this one \(exchange.body.count)")
            }
            guard String(validating: exchange.body, as: UTF8.self) != nil, !exchange.body.contains(0) else {
                throw ApusError(
                    .invalidArgument, "a secret is text in UTF-8 without zero bytes: encode other bytes, as in Base64")
            }
            // Nothing is read of the body any more, and it holds what it should not hold for longer than needed.
            let order = SecretOrder(
                name: name, value: SecretBytes(copying: exchange.body), principal: self.principal(of: exchange).name)
            exchange.forgetBody()
            order.perform(self.server, attemptsLeft: Limits.Secrets.setAttempts, exchange.reply())
        }
    }

    func deleteSecret(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            self.command(.deleteSecret(try self.secret(parameters)), exchange)
        }
    }

    func rotateKey(_ exchange: HTTPExchange) {
        let names = self.server.control.catalogue.secrets.keys.sorted()
        KeyRotation(self.server, names, exchange.reply()).step()
    }
}

extension SecretName {
    var isUnknown: ApusError {
        ApusError(
            .secretNotFound, "there is no secret '\(self)' in the namespace '\(self.namespace)': see `apus secret list`"
        )
    }
}

extension Server {
    /// What anybody may know of a secret; nil when there is none.
    func secretJSON(_ name: SecretName, _ catalogue: Catalogue) -> JSONValue? {
        guard let secret = catalogue.secrets[name] else { return nil }
        return [
            "name": .string(name.name), "namespace": .string(name.namespace.name),
            "version": .number(secret.sealed.version), "set": .string(RFC3339.format(secret.sealed.set)),
            "setBy": .string(secret.sealed.setBy), "key": .string(secret.sealed.key),
            "isReadable": .boolean(self.vault.holdsKey(of: secret.sealed)),
            "functions": .array(catalogue.users(of: name).map { .string($0.name) }),
        ]
    }
}
