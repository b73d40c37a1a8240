internal import ApusCore
internal import ApusJSON

/// What a function offers to agents: at most one of them is there.
struct FunctionOffer {
    var tool: ToolManifest?
    var prompt: PromptManifest?
    var resource: ResourceManifest?
    /// Whether the manifest says one of them, right or wrong.
    var isThere = false
}

extension DocumentChecker {
    mutating func offer(_ document: Checked, _ runtime: FunctionManifest.Runtime?) -> FunctionOffer {
        guard let spec = document["spec"] else { return FunctionOffer() }
        var offer = FunctionOffer()
        if let tool = spec["tool"] {
            offer.tool = self.tool(tool)
            offer.isThere = true
            self.lint(spec["description"], of: tool["name"]?.text)
            self.lint(tool["title"], of: tool["name"]?.text)
        }
        if let prompt = spec["prompt"] {
            offer.prompt = self.prompt(prompt)
            offer.isThere = true
            self.lint(spec["description"], of: prompt["name"]?.text)
            for argument in prompt["arguments"]?.list ?? [] {
                self.lint(argument["description"], of: prompt["name"]?.text)
            }
        }
        if let resource = spec["resource"] {
            offer.resource = self.resource(resource, document["metadata"]?["name"]?.text ?? "")
            offer.isThere = true
            self.lint(spec["description"], of: nil)
        }
        return offer
    }

    private mutating func tool(_ field: Checked) -> ToolManifest? {
        let hints = field["annotations"]
        let annotations = ToolManifest.Annotations(
            readOnly: hints?["readOnly"]?.boolean, destructive: hints?["destructive"]?.boolean,
            idempotent: hints?["idempotent"]?.boolean, openWorld: hints?["openWorld"]?.boolean)
        if annotations.readOnly == true, annotations.destructive == true {
            self.checker.fail(
                hints?["destructive"]?.location,
                "`spec.tool.annotations` says that the tool changes nothing and that it may destroy, expected one of them"
            )
        }
        let cache = self.cache(field, annotations)
        let input = self.schema(field["input"], isInput: true) ?? .text(Array(ToolSchema.nothing.utf8))
        let output = self.schema(field["output"], isInput: false)
        guard let name = field["name"]?.text else { return nil }
        return ToolManifest(
            name: name, title: field["title"]?.text, input: input, output: output, annotations: annotations,
            approval: Self.approval(field["approval"]),
            asynchrony: field["async"]?.text.flatMap { .init(rawValue: $0) } ?? .never,
            questions: field["questions"]?.text.flatMap { .init(rawValue: $0) } ?? .within,
            scopes: field["scopes"]?.list.compactMap(\.text) ?? [], cache: cache,
            bounds: Self.bounds(field["limits"]),
            maxResult: field["maxResult"]?.integer ?? 0, resultLimit: field["resultLimit"]?.integer ?? 0,
            keepResult: field["keepResult"]?.span ?? .zero, version: Int(field["version"]?.integer ?? 1),
            weight: Int(field["weight"]?.integer ?? 0), isExposed: field["exposed"]?.boolean ?? false,
            signature: field["signature"].flatMap { signature in
                guard let key = signature["key"]?.text, let value = signature["value"]?.text else { return nil }
                return ToolManifest.Signature(key: key, value: value)
            })
    }

    /// What a call may do again is done again: only a call that does nothing but read may be answered from memory.
    private mutating func cache(_ field: Checked, _ annotations: ToolManifest.Annotations) -> ToolManifest.Cache? {
        guard let cache = field["cache"] else { return nil }
        if annotations.readOnly != true || annotations.idempotent != true {
            self.checker.fail(
                cache.location,
                "`\(cache.path)` is for tools that only read, expected `annotations: {readOnly: true, idempotent: true}`"
            )
        }
        guard let time = cache["time"]?.span else { return nil }
        return ToolManifest.Cache(
            time: time, scope: cache["for"]?.text == "everyone" ? .everyone : .principal)
    }

    // MARK: schemas

    private mutating func schema(_ field: Checked?, isInput: Bool) -> ToolManifest.Schema? {
        guard let field else { return nil }
        let text: [UInt8]
        if let written = field.text {
            guard ToolSchema.isText(written) else {
                if written.split(separator: "/").contains("..") || written.hasPrefix("/") {
                    self.checker.fail(
                        field.location, "`\(field.path)` leaves the manifest's folder, expected a path inside it")
                }
                return .file(written)
            }
            text = ToolSchema.compact(Array(written.utf8))
        } else {
            text = field.plain.encoded()
        }
        if text.count > Limits.Manifest.schemaBytes {
            self.checker.fail(
                field.location,
                "`\(field.path)` takes \(text.count) bytes, expected at most \(Limits.Manifest.schemaBytes)")
            return nil
        }
        let node = self.node.value(at: field.path)
        for problem in ToolSchema.problems(text, isInput: isInput) {
            self.checker.fail(
                node?.place(ofPointer: problem.pointer) ?? field.location,
                "`\(field.path)`\(problem.pointer.isEmpty ? "" : " at \(problem.pointer)") \(problem.message)")
        }
        for found in SchemaTexts.all(in: text) {
            for finding in DescriptionLint.findings(in: found.text) where finding.isError {
                self.checker.fail(
                    node?.place(ofPointer: found.pointer) ?? field.location,
                    "`\(field.path)` at \(found.pointer) \(finding.message)")
            }
        }
        return .text(text)
    }

    // MARK: prompts and resources

    private mutating func prompt(_ field: Checked) -> PromptManifest? {
        var names: Set<String> = []
        var arguments: [PromptManifest.Argument] = []
        for argument in field["arguments"]?.list ?? [] {
            guard let name = argument["name"]?.text else { continue }
            if !names.insert(name).inserted {
                self.checker.fail(
                    argument["name"]?.location, "a second argument is named `\(name)`, expected names that differ")
            }
            arguments.append(
                PromptManifest.Argument(
                    name: name, title: argument["title"]?.text, about: argument["description"]?.text,
                    isRequired: argument["required"]?.boolean ?? false))
        }
        let completion = self.completion(field["complete"], of: names)
        guard let name = field["name"]?.text else { return nil }
        return PromptManifest(
            name: name, title: field["title"]?.text, arguments: arguments, completion: completion,
            scopes: field["scopes"]?.list.compactMap(\.text) ?? [])
    }

    private mutating func completion(_ field: Checked?, of names: Set<String>) -> PromptManifest.Completion? {
        guard let field else { return nil }
        if field.text != nil { return .function }
        for entry in field.entries where !names.contains(entry.name) {
            self.checker.fail(
                entry.value.location,
                "`\(field.path)` completes `\(entry.name)`, expected one of \(names.sorted().joined(separator: ", "))")
        }
        return .values(
            Dictionary(
                field.entries.map { ($0.name, $0.value.list.compactMap(\.text)) },
                uniquingKeysWith: { first, _ in first }))
    }

    private mutating func resource(_ field: Checked, _ function: String) -> ResourceManifest? {
        let address: ResourceManifest.Address
        var variables: Set<String> = []
        if let uri = field["uri"]?.text {
            address = .uri(uri)
        } else if let template = field["template"]?.text {
            address = .template(template)
            variables = Set(URITemplate(template)?.variables ?? [])
        } else {
            return nil
        }
        if let complete = field["complete"], field["uri"] != nil {
            self.checker.fail(complete.location, "`\(complete.path)` is for a template, expected none with a `uri`")
        }
        return ResourceManifest(
            name: field["name"]?.text ?? function, title: field["title"]?.text, address: address,
            mimeType: field["mimeType"]?.text, completion: self.completion(field["complete"], of: variables),
            scopes: field["scopes"]?.list.compactMap(\.text) ?? [])
    }
}
