internal import ApusCore
internal import ApusJSON

extension DocumentChecker {
    mutating func upstream(_ document: Checked) -> UpstreamManifest? {
        guard let spec = document["spec"],
            let name = document["metadata"]?["name"]?.text.flatMap({ ResourceName(self.namespace(document), $0) }),
            let source = self.source(spec)
        else { return nil }
        let inject = spec["inject"]?.list.compactMap { self.upstreamInjection($0) } ?? []
        if case .function = source, let field = spec["inject"], !inject.isEmpty {
            self.checker.fail(
                field.location,
                "`spec.inject` is for an upstream with a `url`, expected none: the function's manifest has its own secrets")
        }
        if case .address(let address) = source, !address.isEncrypted, let field = spec["inject"], !inject.isEmpty {
            self.checker.fail(
                field.location, "`spec.inject` with `http://`, expected `https://`: secrets are only sent encrypted")
        }
        let prefix = spec["prefix"]?.text ?? String(name.name.map { $0 == "-" ? "_" : $0 })
        if prefix.utf8.count > Limits.Manifest.prefixBytes || prefix.contains(".") {
            self.checker.fail(
                spec["prefix"]?.location ?? document["metadata"]?["name"]?.location,
                "`spec.prefix` is `\(prefix)`, expected at most \(Limits.Manifest.prefixBytes) of letters, digits, `_` and `-`")
        }
        return UpstreamManifest(
            name: name, labels: document["metadata"]?["labels"]?.texts ?? [:], source: source, prefix: prefix,
            pins: spec["pins"].map { $0.texts.mapValues { $0.lowercased() } }, inject: inject,
            scopes: spec["scopes"]?.list.compactMap(\.text) ?? [], timeout: spec["timeout"]?.span ?? .seconds(30),
            refresh: spec["refresh"]?.span ?? .seconds(300), locations: self.checker.locations)
    }

    private mutating func source(_ spec: Checked) -> UpstreamManifest.Source? {
        if let function = spec["function"]?.text { return .function(function) }
        guard let field = spec["url"], let text = field.text else { return nil }
        guard let address = ServerAddress(text) else {
            self.checker.fail(
                field.location,
                "`\(field.path)` is `\(YAMLNode.shorten(text))`, expected https://HOST/PATH, without a user and a fragment")
            return nil
        }
        return .address(address)
    }

    private mutating func upstreamInjection(_ field: Checked) -> UpstreamManifest.Injection? {
        guard let secret = field["secret"]?.text else { return nil }
        let header = (field["header"]?.text ?? "Authorization").lowercased()
        // These are of the protocol, or of the connection.
        let reserved = ["host", "content-length", "content-type", "transfer-encoding", "connection", "accept", "te"]
        if !(1...Limits.Network.headerNameBytes).contains(header.utf8.count) || !header.utf8.allSatisfy(Self.isToken)
            || reserved.contains(header) || header.hasPrefix("mcp-")
        {
            self.checker.fail(
                field["header"]?.location ?? field.location,
                "`\(field.path).header` is `\(YAMLNode.shorten(header))`, expected the name of a header for credentials")
        }
        return UpstreamManifest.Injection(secret: secret, header: header, prefix: field["prefix"]?.text ?? "")
    }
}

extension UpstreamManifest {
    var json: JSONValue {
        var spec: JSONValue = ["prefix": .string(self.prefix)]
        switch self.source {
        case .address(let address): spec["url"] = .string(address.url)
        case .function(let name): spec["function"] = .string(name)
        }
        if let pins = self.pins { spec["pins"] = .sorted(pins) }
        if !self.inject.isEmpty {
            spec["inject"] = .array(
                self.inject.map {
                    [
                        "secret": .string($0.secret), "header": .string($0.header), "prefix": .string($0.prefix),
                    ]
                })
        }
        if !self.scopes.isEmpty { spec["scopes"] = .array(self.scopes.map { .string($0) }) }
        spec["timeout"] = .string(self.timeout.description)
        spec["refresh"] = .string(self.refresh.description)
        return Manifest.document(Manifest.upstream(self).identity, self.labels, spec)
    }
}
