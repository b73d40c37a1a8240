internal import ApusCore

extension DocumentChecker {
    /// A file of the bundle, with or without its suffix, and an export of it.
    mutating func checkNodeHandler(_ handler: Checked, _ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let steps = parts[0].split(separator: "/", omittingEmptySubsequences: false)
        let isMet =
            parts.count == 2 && steps.allSatisfy { !$0.isEmpty && $0 != ".." && $0.allSatisfy(Self.isOfModule) }
            && parts[1].split(separator: ".", omittingEmptySubsequences: false).allSatisfy {
                TextRule.isIdentifier($0.filter { $0 != "$" } + ($0.contains("$") ? "_" : ""))
            }
        guard !isMet else { return }
        self.checker.fail(
            handler.location,
            "`\(handler.path)` is `\(YAMLNode.shorten(text))`, expected a module and an export such as main:handle")
    }

    private static func isOfModule(_ letter: Character) -> Bool {
        letter.isASCII && (letter.isLetter || letter.isNumber || "_-.@".contains(letter))
    }

    /// What Node cannot start with.
    mutating func checkNode(_ spec: Checked) {
        let resources = spec["resources"]
        if let processes = resources?["processes"], let count = processes.integer, count < Limits.Manifest.nodeProcesses
        {
            self.checker.fail(
                processes.location,
                "`\(processes.path)` is \(count), expected at least \(Limits.Manifest.nodeProcesses) with the runtime node: Node has "
                    + "threads of its own")
        }
        if let memory = resources?["memory"], let bytes = memory.integer, bytes < Limits.Manifest.nodeMemoryBytes {
            self.checker.fail(
                memory.location,
                "`\(memory.path)` is \(bytes) bytes, expected at least \(Limits.Manifest.nodeMemoryBytes >> 20)MiB with the runtime "
                    + "node: Node itself takes most of that")
        }
    }
}
