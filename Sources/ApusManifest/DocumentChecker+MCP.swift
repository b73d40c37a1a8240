internal import ApusCore

/// Functions that are an MCP server: what makes no sense for one.
extension DocumentChecker {
    mutating func checkMCP(_ spec: Checked) {
        let concurrency = Int(spec["concurrency"]?.integer ?? 1)
        if concurrency > Limits.Manifest.mcpConcurrency {
            self.checker.fail(
                spec["concurrency"]?.location ?? spec.location,
                "`spec.concurrency` is \(concurrency), expected at most \(Limits.Manifest.mcpConcurrency) with the runtime mcp")
        }
        if let batch = spec["batch"] {
            self.checker.fail(
                batch.location, "`spec.batch` is for handlers that take lists, expected none with the runtime mcp")
        }
        if let triggers = spec["triggers"], !triggers.list.isEmpty {
            self.checker.fail(
                triggers.location,
                "`spec.triggers` is about events, expected none with the runtime mcp: agents call its tools through an Upstream")
        }
        for name in ["tool", "prompt", "resource"] {
            guard let offer = spec[name] else { continue }
            self.checker.fail(
                offer.location,
                "`spec.\(name)` describes one thing to call, expected none with the runtime mcp: an Upstream offers what the server lists")
        }
        if let text = spec["handler"]?.text, ServerAddress.isURL(text) { return }
        // The worker itself, and the server.
        if let processes = spec["resources"]?["processes"], let count = processes.integer, count < 2 {
            self.checker.fail(
                processes.location ?? spec.location,
                "`\(processes.path)` is \(count), expected at least 2 with the runtime mcp: its worker and the server")
        }
    }

    mutating func checkMCPAddress(_ handler: Checked, _ text: String) {
        guard ServerAddress(text) == nil else { return }
        self.checker.fail(
            handler.location,
            "`\(handler.path)` is `\(YAMLNode.shorten(text))`, expected https://HOST/PATH, without a user and a fragment")
    }

    /// What one principal's calls share and no other's see: an MCP server keeps what it likes from one call to the next.
    mutating func reuseByPrincipal(
        _ spec: Checked, _ runtime: FunctionManifest.Runtime?
    ) -> FunctionManifest.Reuse? {
        let isCommand = runtime == .mcp && !(spec["handler"]?.text.map(ServerAddress.isURL) ?? false)
        let word = spec["reuse"]?.text
        guard word == FunctionManifest.Reuse.principal.rawValue || word == nil && isCommand else { return nil }
        if let runtime, runtime != .mcp {
            self.checker.fail(
                spec["reuse"]?.location,
                "`spec.reuse: principal` with the runtime \(runtime.rawValue), expected `function` or `never`: "
                    + "only MCP servers are kept for one principal"
            )
        }
        if let min = spec["scale"]?["min"], let count = min.integer, count > 0 {
            self.checker.fail(
                min.location,
                "`\(min.path)` is \(count), expected 0 with `reuse: principal`: nobody's worker could wait for anybody")
        }
        return .principal
    }
}
