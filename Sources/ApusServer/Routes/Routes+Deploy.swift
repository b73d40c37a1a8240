internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusLoop
internal import ApusManifest
internal import ApusStore

/// Bundles, deployments, and single resources put and deleted.
extension Routes {
    func addDeploy(to table: inout RouteTable) {
        table.add(
            Operation(
                "storeBundle", "POST", "/v1/bundles", "Stores a bundle under its hash.", .deploy)
        ) { exchange, _ in self.storeBundle(exchange) }
        table.add(Operation("deploy", "POST", "/v1/deployments", "Deploys documents, all or none.", .deploy)) {
            self.deploy($0, $1)
        }
    }

    func storeBundle(_ exchange: HTTPExchange) {
        guard let hash = exchange.header("Apus-Bundle") else {
            return exchange.respond(
                Problem(.bundleInvalid, "the header Apus-Bundle with the archive's SHA-256 is missing"))
        }
        let reply = exchange.reply()
        let body = exchange.body
        let (bundles, topic) = (self.server.bundles, self.server.bundleTopic)
        let isQueued = self.server.store.run {
            do throws(ApusError) {
                let stored = try bundles.store(body, hash: hash)
                // The very bytes, which the folder may not make again.
                try topic?.publish(body, hash: hash)
                let answer: JSONValue = ["bundle": .string(hash)]
                reply.respond(
                    status: stored == .created ? 201 : 200, headers: [("Content-Type", "application/json")],
                    body: answer.encoded())
            } catch {
                reply.respond(Problem(error))
            }
        }
        if !isQueued { exchange.respond(Problem(.overloaded, "too many bundles wait: try again in a moment")) }
    }

    /// A ``DeployRequest``; answers lines of JSON, progress first and the result or an error last.
    func deploy(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let request = try DeployRequest(
                parsing: exchange.body, namespace: try self.namespace(parameters), isBound: parameters["ns"] != nil)
            for document in request.documents {
                try self.require(Self.access(to: document.manifest), in: document.manifest.namespace, of: exchange)
            }
            let order = Deployer.Order(
                request: request, ifMatch: try self.ifMatch(exchange), principal: self.principal(of: exchange).name)
            exchange.stream(
                status: 200, headers: [("Content-Type", "application/x-ndjson"), ("Cache-Control", "no-store")])
            let reply = exchange.reply()
            self.deploy(order) { report in
                let (line, isLast) = Self.line(report)
                reply.perform { exchange in
                    _ = exchange.write(line + [0x0A])
                    if isLast { exchange.end() }
                }
            }
        }
    }

    /// Deploys, and keeps in the audit what agents are concerned with before it says so.
    private func deploy(_ order: Deployer.Order, _ report: @escaping @Sendable (Deployer.Report) -> Void) {
        let server = self.server
        let manifests = order.request.documents.map(\.manifest)
        do throws(ApusError) {
            for case .agent(let agent) in manifests { try server.configuration.pool.prices.check(agent.limits, of: agent.name) }
        } catch { return report(.failed(error)) }
        server.deployer.deploy(order) { said in
            guard case .done(let done) = said, !order.request.isDryRun else { return report(said) }
            let held = ChangeAudit.quarantined(done.outcomes, in: server.control.catalogue, by: order.principal)
            for (tool, _) in held {
                report(
                    .progress(
                        stage: "tools",
                        message: "agents do not see the tool '\(tool)' any more: it says something else than what was signed. `apus tools accept "
                            + "\(tool)` shows the difference"))
            }
            let entries = ChangeAudit.entries(done.outcomes, of: manifests, by: order.principal)
            server.note(entries + held.map(\.entry)) { error in
                report(error.map { .failed($0) } ?? said)
            }
        }
    }

    /// Who may deploy it: what an agent may do is said by those who make agents.
    private static func access(to manifest: Manifest) -> Access {
        if case .agent = manifest { .administer } else { .deploy }
    }

    private static func line(_ report: Deployer.Report) -> (line: [UInt8], isLast: Bool) {
        let json: JSONValue
        switch report {
        case .progress(let stage, let message): json = ["stage": .string(stage), "message": .string(message)]
        case .done(let done):
            var result: JSONValue = ["result": .array(done.outcomes.map { Self.deployed($0) })]
            if let position = done.position { result["position"] = .string(LogPosition(position).description) }
            json = result
        case .failed(let error):
            json = ["error": ["code": .string(error.code.rawValue), "message": .string(error.message)]]
        }
        if case .progress = report { return (json.encoded(), false) }
        return (json.encoded(), true)
    }

    /// PUT of one resource: a deployment of one document that answers when it is over.
    func put(_ exchange: HTTPExchange, _ parameters: RouteParameters, kind: Manifest.Kind) {
        self.answer(exchange) { () throws(ApusError) in
            let namespace = try self.namespace(parameters)
            let name = (kind == .topic ? parameters["topic"] : parameters["name"]) ?? ""
            let document = try JSONValue.parse(exchange.body)
            guard document["kind"]?.string == kind.rawValue, document["metadata"]?["name"]?.string == name else {
                throw ApusError(
                    .invalidArgument,
                    "the body must be the manifest of the \(kind.rawValue) '\(name.prefix(64))', as the path says")
            }
            let manifest: Manifest
            do throws(ManifestErrors) { manifest = try Manifest(json: document, namespace: namespace) } catch {
                throw error.asApusError
            }
            guard manifest.namespace == namespace else {
                throw ApusError(
                    .invalidArgument,
                    "the manifest is of the namespace '\(manifest.namespace)', the path of '\(namespace)'")
            }
            let request = DeployRequest(documents: [
                DeployRequest.Document(manifest: manifest, bundle: exchange.header("Apus-Bundle"))
            ])
            let order = Deployer.Order(
                request: request, ifMatch: try self.ifMatch(exchange), principal: self.principal(of: exchange).name)
            let reply = exchange.reply()
            self.deploy(order) { report in
                switch report {
                case .progress: break
                case .failed(let error): reply.respond(Problem(error))
                case .done(let done): Self.answer(done, reply, Self.deployed)
                }
            }
        }
    }

    /// By the kind of its manifest: an agent's record is that of a principal.
    private static func deployed(_ outcome: ControlDecision.Outcome) -> JSONValue {
        var json = outcome.json
        if outcome.kind == .principal { json["kind"] = .string(Manifest.Kind.agent.rawValue) }
        return json
    }

    /// Performs a control command off the loop and answers with its outcome.
    /// - Parameter change: kept in the audit before the answer; nil for what is no matter of agents.
    func command(
        _ command: ControlCommand, appends: [LogBatch.Append] = [], _ exchange: HTTPExchange, noting change: ChangeAudit? = nil
    ) {
        let reply = exchange.reply()
        let (server, projection) = (self.server, self.server.projection)
        let who = "\(self.principal(of: exchange).name)"
        server.control.perform(command, appends: appends, by: who) { answer in
            let refusal = answer.refusal
            server.note(change.map { [$0.entry(refusal)] } ?? []) { error in
                if let error { return reply.respond(Problem(refusal ?? error)) }
                Self.answer(answer, reply, projection)
            }
        }
    }

    private static func answer(_ answer: Control.Answer, _ reply: HTTPReply, _ projection: ProjectionFollower) {
        switch answer {
        case .success(let done):
            guard let position = done.position else { return Self.answer(done, reply) }
            // It took effect whether queries show it in time or not.
            projection.whenPassed(position) { _ in Self.answer(done, reply) }
        case .failure(let error): reply.respond(Problem(error))
        }
    }

    /// What the audit says of a deletion.
    func deleted(_ subject: String, _ name: ResourceName, _ exchange: HTTPExchange) -> ChangeAudit {
        ChangeAudit("deleted", subject, in: name.namespace, by: self.principal(of: exchange).name)
    }

    private static func answer(
        _ done: Control.Done, _ reply: HTTPReply, _ shown: (ControlDecision.Outcome) -> JSONValue = \.json
    ) {
        let json = done.outcomes.first.map(shown) ?? [:]
        var headers = [("Content-Type", "application/json")]
        if let position = done.position { headers.append((LogPosition.header, LogPosition(position).description)) }
        reply.respond(status: 200, headers: headers, body: json.encoded())
    }

    /// The generation that `If-Match` names, as `ETag` gave it; `"0"` for what must not be there.
    func ifMatch(_ exchange: HTTPExchange) throws(ApusError) -> UInt64? {
        guard let text = exchange.header("If-Match") else { return nil }
        let digits =
            text.hasPrefix("\"") && text.hasSuffix("\"") && text.count >= 2 ? String(text.dropFirst().dropLast()) : text
        guard let generation = UInt64(digits) else {
            throw ApusError(
                .invalidArgument, "If-Match: \(text.prefix(64)): a generation in quotes is expected, as ETag gives it")
        }
        return generation
    }
}
