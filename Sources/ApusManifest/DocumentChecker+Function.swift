internal import ApusCore
internal import ApusJSON

// Every value is read with a stand-in for the case that its field was found wrong: the rules about several fields are
// then checked as far as they can be, so that all errors are told at once, and the manifest is dropped in the end.
extension DocumentChecker {
    mutating func function(_ document: Checked) -> FunctionManifest? {
        let namespace = self.namespace(document)
        guard let spec = document["spec"] else { return nil }
        let runtime = spec["runtime"]?.text.flatMap { FunctionManifest.Runtime(rawValue: $0) }
        self.checkHandler(spec, runtime)
        self.checkEnvironment(spec, runtime)
        if runtime == .exec { self.checkExec(spec) }
        if runtime == .node { self.checkNode(spec) }
        if runtime == .http { self.checkHTTPOperation(spec) }
        if runtime == .mcp { self.checkMCP(spec) }
        let triggers = self.triggers(spec, namespace)
        let emits = spec["emits"].map { emits in emits.list.compactMap { self.topicName($0, namespace) } }
        let secrets = self.secrets(spec)
        let dependencies = self.dependencies(spec, runtime)
        let weights = self.weights(spec)
        let scale = self.scale(spec)
        let profile = self.profile(spec, runtime)
        let offer = self.offer(document, runtime)
        let reuse = self.reuse(spec, runtime, triggers.topics, isOffered: offer.isThere)
        let network = self.network(spec)
        let calls = self.calls(spec, runtime, reuse)
        self.checkPooled(spec, runtime)
        guard let name = document["metadata"]?["name"]?.text.flatMap({ ResourceName(namespace, $0) }), let runtime,
            let handler = spec["handler"]?.text
        else { return nil }
        return FunctionManifest(
            name: name, labels: document["metadata"]?["labels"]?.texts ?? [:], about: spec["description"]?.text,
            runtime: runtime,
            handler: handler, source: spec["source"]?.text ?? ".", build: spec["build"]?.text,
            dependencies: dependencies,
            environment: spec["env"]?.texts ?? [:], secrets: secrets, weights: weights,
            timeout: spec["timeout"]?.span ?? .zero, concurrency: Int(spec["concurrency"]?.integer ?? 0), reuse: reuse,
            batch: self.batch(spec),
            resources: self.resources(spec), scale: scale, profile: profile,
            isolation: spec["sandbox"]?["isolation"]?.text == "hostile" ? .hostile : .standard, network: network,
            calls: calls,
            triggers: triggers.topics,
            httpTriggers: triggers.http, scheduleTriggers: triggers.schedules, tool: offer.tool, prompt: offer.prompt,
            resource: offer.resource, emits: emits,
            locations: self.checker.locations)
    }

    private mutating func checkHandler(_ spec: Checked, _ runtime: FunctionManifest.Runtime?) {
        guard let handler = spec["handler"], let text = handler.text, let runtime else { return }
        switch runtime {
        case .python3:
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            let isMet =
                parts.count == 2
                && parts.allSatisfy { part in
                    part.split(separator: ".", omittingEmptySubsequences: false).allSatisfy {
                        TextRule.isIdentifier($0)
                    }
                }
            if !isMet {
                let shown = YAMLNode.shorten(text)
                self.checker.fail(
                    handler.location,
                    "`\(handler.path)` is `\(shown)`, expected a module and a function such as main:embed")
            }
        case .node: self.checkNodeHandler(handler, text)
        case .http:
            if !text.hasSuffix(".json") || text.hasPrefix("/") || text.split(separator: "/").contains("..") {
                self.checker.fail(
                    handler.location,
                    "`\(handler.path)` is `\(YAMLNode.shorten(text))`, expected the path of a JSON file in the bundle that describes the "
                        + "operation")
            }
        case .mcp where ServerAddress.isURL(text): self.checkMCPAddress(handler, text)
        case .exec, .mcp:
            let program = text.split(separator: " ").first ?? ""
            if program.isEmpty || program.split(separator: "/").contains("..") {
                self.checker.fail(
                    handler.location,
                    "`\(handler.path)` is `\(YAMLNode.shorten(text))`, expected a command: a path in the bundle or a program of "
                        + "/usr/bin, and its arguments")
            }
        case .native:
            let words = text.split(separator: " ")
            let steps = words.first?.split(separator: "/") ?? []
            if words.isEmpty || text.hasPrefix("/") || steps.contains("..") {
                let shown = YAMLNode.shorten(text)
                self.checker.fail(
                    handler.location,
                    "`\(handler.path)` is `\(shown)`, expected the path of a binary in the bundle, and its arguments")
            }
        }
    }

    private mutating func checkEnvironment(_ spec: Checked, _ runtime: FunctionManifest.Runtime?) {
        guard let environment = spec["env"] else { return }
        var bytes = 0
        for (name, value) in environment.entries {
            // `NAME=value` and the zero byte that ends it.
            bytes += name.utf8.count + (value.text?.utf8.count ?? 0) + 2
            for prefix in runtime == .exec ? ["APUS_", "CE_"] : ["APUS_"] where name.hasPrefix(prefix) {
                self.checker.fail(
                    value.location,
                    "`\(value.path)` is a reserved name, expected one that does not start with \(prefix)", .reservedName
                )
            }
        }
        if bytes > Limits.Manifest.environmentBytes {
            self.checker.fail(
                environment.location,
                "`\(environment.path)` takes \(bytes) bytes, expected at most \(Limits.Manifest.environmentBytes)")
        }
    }

    private mutating func secrets(_ spec: Checked) -> [String] {
        var names: [String] = []
        for field in spec["secrets"]?.list ?? [] {
            guard let name = field.text else { continue }
            if names.contains(name) {
                self.checker.fail(
                    field.location, "`\(field.path)` is `\(name)` for the second time, expected each secret once")
            }
            names.append(name)
        }
        return names
    }

    private mutating func dependencies(_ spec: Checked, _ runtime: FunctionManifest.Runtime?) -> FunctionManifest
        .Dependencies?
    {
        guard let dependencies = spec["dependencies"] else { return nil }
        if let runtime, runtime != .python3, runtime != .mcp {
            self.checker.fail(
                dependencies.location,
                "`spec.dependencies` is for the runtimes python3 and mcp, expected none: a bundle for \(runtime.rawValue) brings what it needs"
            )
        }
        let file = dependencies.text == nil ? dependencies["file"] : dependencies
        guard let file, let text = file.text else { return nil }
        if text.split(separator: "/").contains("..") {
            self.checker.fail(file.location, "`\(file.path)` leaves the bundle, expected a path inside it")
        }
        return FunctionManifest.Dependencies(
            file: text, resolves: dependencies["resolve"]?.boolean ?? true,
            allowsBuild: dependencies["allowBuild"]?.boolean ?? false)
    }

    /// With `never` a worker is killed after its one invocation: what only pays over many makes no sense with it.
    /// What agents call has a sandbox of its own for each call unless the manifest says otherwise, or it would have to load a table or a
    /// model each time.
    private mutating func reuse(
        _ spec: Checked, _ runtime: FunctionManifest.Runtime?, _ triggers: [TriggerManifest], isOffered: Bool
    ) -> FunctionManifest.Reuse {
        if let reuse = self.reuseByPrincipal(spec, runtime) { return reuse }
        let isHeavy = triggers.contains(where: \.isTable) || spec["resources"]?["gpu"] != nil
        let standard = isOffered && !isHeavy ? FunctionManifest.Reuse.never : .function
        guard (spec["reuse"]?.text ?? standard.rawValue) == FunctionManifest.Reuse.never.rawValue else {
            return .function
        }
        if let batch = spec["batch"] {
            self.checker.fail(
                batch.location,
                "`spec.batch` gives one sandbox several events, expected none with `reuse: never`, where each event "
                    + "gets a sandbox of its own")
        }
        if let concurrency = spec["concurrency"], (concurrency.integer ?? 1) > 1 {
            self.checker.fail(
                concurrency.location,
                "`spec.concurrency` gives one sandbox several events at once, expected 1 with `reuse: never`: "
                    + "`spec.scale.max` bounds how many run at once")
        }
        for trigger in triggers where trigger.isTable {
            let path = self.checker.locations.path(ofTrigger: trigger.name) ?? "spec.triggers"
            self.checker.fail(
                spec["triggers"]?.location,
                "`\(path).table` would feed the whole table to each sandbox for one event, expected no table with "
                    + "`reuse: never`")
        }
        return .never
    }

    private mutating func calls(
        _ spec: Checked, _ runtime: FunctionManifest.Runtime?, _ reuse: FunctionManifest.Reuse
    ) -> WorkerIsolation.Calls {
        guard let field = spec["sandbox"]?["calls"], field.text == WorkerIsolation.Calls.process.rawValue else {
            return .sandbox
        }
        let path = "`\(field.path): process`"
        if let runtime, runtime != .python3 {
            self.checker.fail(
                field.location,
                "\(path) with the runtime \(runtime.rawValue), expected python3: no other runtime can be forked")
        }
        if reuse != .never {
            self.checker.fail(
                field.location, "\(path) is about functions whose workers are not used again, expected `reuse: never`")
        }
        if spec["sandbox"]?["isolation"]?.text == WorkerIsolation.Level.hostile.name {
            self.checker.fail(
                field.location, "\(path) with `isolation: hostile`, expected `sandbox`: hostile code shares nothing")
        }
        if let network = spec["sandbox"]?["network"], network.text != "none" {
            self.checker.fail(
                field.location, "\(path) with a network, expected `sandbox`: calls that share a sandbox have no way out"
            )
        }
        return .process
    }

    private func batch(_ spec: Checked) -> FunctionManifest.Batch? {
        guard let batch = spec["batch"] else { return nil }
        return FunctionManifest.Batch(
            maxSize: Int(batch["maxSize"]?.integer ?? 1), maxWait: batch["maxWait"]?.span ?? .zero,
            maxBytes: batch["maxBytes"]?.integer ?? Limits.Manifest.batchBytes)
    }

    private mutating func resources(_ spec: Checked) -> FunctionManifest.Resources {
        let resources = spec["resources"]
        return FunctionManifest.Resources(
            memoryBytes: resources?["memory"]?.integer ?? 0, cpuMillis: Int(resources?["cpu"]?.integer ?? 0),
            processes: Int(resources?["processes"]?.integer ?? 0), scratchBytes: resources?["scratch"]?.integer ?? 0,
            hostBytes: resources?["hostMemory"]?.integer, gpu: self.gpu(spec), workClass: self.workClass(resources))
    }

    private func gpu(_ spec: Checked) -> FunctionManifest.GPU? {
        guard let gpu = spec["resources"]?["gpu"] else { return nil }
        let kind = gpu["kind"]?.text?.lowercased() ?? "any"
        return FunctionManifest.GPU(
            memoryBytes: gpu["memory"]?.integer ?? 0, residueBytes: gpu["residue"]?.integer ?? 0,
            count: Int(gpu["count"]?.integer ?? 1), kind: kind == "any" ? nil : kind)
    }

    /// What only instances that the pool starts can be.
    private mutating func checkPooled(_ spec: Checked, _ runtime: FunctionManifest.Runtime?) {
        let resources = spec["resources"]
        guard let field = resources?["gpu"] ?? resources?["hostMemory"] else { return }
        if spec["reuse"]?.text == FunctionManifest.Reuse.never.rawValue {
            self.checker.fail(
                field.location,
                "`\(field.path)` with `reuse: never`, expected `reuse: function`: a model is loaded for many invocations"
            )
        }
        if let runtime, runtime != .python3, runtime != .native {
            self.checker.fail(
                field.location, "`\(field.path)` with the runtime \(runtime.rawValue), expected python3 or native")
        }
        if let gpu = self.gpu(spec), gpu.residueBytes >= gpu.memoryBytes, gpu.residueBytes > 0 {
            self.checker.fail(
                field.location,
                "`\(field.path).residue` is not less than its memory, expected what is left when it sleeps")
        }
    }

    private mutating func workClass(_ resources: Checked?) -> WorkClass {
        guard let field = resources?["class"], let text = field.text else {
            return resources?["gpu"] == nil ? .cpu : .gpu
        }
        // The class of those that decide what is written is no class of functions.
        guard let workClass = WorkClass(text), text != "control" else {
            self.checker.fail(
                field.location,
                "`\(field.path): \(text)`, expected at most \(Limits.workClassBytes) letters a-z, digits and hyphens; `control` is taken"
            )
            return .cpu
        }
        return workClass
    }

    private mutating func scale(_ spec: Checked) -> FunctionManifest.Scale {
        let scale = spec["scale"]
        let min = scale?["min"]?.integer ?? 0
        let max = scale?["max"]?.integer ?? Int64(Limits.Manifest.workers)
        if min > max {
            self.checker.fail(
                scale?["min"]?.location ?? scale?.location,
                "`spec.scale.min` is \(min), expected at most `spec.scale.max`, which is \(max)")
        }
        return FunctionManifest.Scale(
            min: Int(min), max: Int(max), idle: scale?["idle"]?.span ?? .zero, deviceIdle: scale?["gpuIdle"]?.span,
            hostIdle: scale?["hostIdle"]?.span, weight: Int(scale?["weight"]?.integer ?? 1))
    }

    private mutating func profile(_ spec: Checked, _ runtime: FunctionManifest.Runtime?) -> FunctionManifest.Profile {
        let isAddress = spec["handler"]?.text.map(ServerAddress.isURL) ?? false
        let own: FunctionManifest.Profile = runtime.map { Self.profile(of: $0, isAddress: isAddress) } ?? .python
        guard let field = spec["sandbox"]?["profile"], let text = field.text, let runtime else { return own }
        if text != own.rawValue {
            self.checker.refuse(field.location, "`\(field.path): \(text)` with the runtime \(runtime.rawValue)")
        }
        return own
    }

    private static func profile(
        of runtime: FunctionManifest.Runtime, isAddress: Bool
    ) -> FunctionManifest.Profile {
        switch runtime {
        case .python3: .python
        case .native: .native
        case .exec: .exec
        case .node: .node
        // What runs is the runtime's own code, in Python.
        case .http: .python
        case .mcp: isAddress ? .python : .exec
        }
    }
}
