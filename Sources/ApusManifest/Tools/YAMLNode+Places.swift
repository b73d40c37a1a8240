extension YAMLNode {
    /// The value of a field such as `spec.tool.input`; lists are not entered.
    func value(at path: String) -> YAMLNode? {
        var node = self
        for name in path.split(separator: ".") {
            guard let next = node.member(String(name)) else { return nil }
            node = next
        }
        return node
    }

    /// Where a JSON pointer leads, or as near as there is something.
    func place(ofPointer pointer: String) -> SourceLocation? {
        var node = self
        for step in pointer.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
            let name = step.replacing("~1", with: "/").replacing("~0", with: "~")
            if case .sequence(let nodes) = node.content, let index = Int(name), nodes.indices.contains(index) {
                node = nodes[index]
            } else if let next = node.member(String(name)) {
                node = next
            } else {
                break
            }
        }
        return node.location ?? self.location
    }

    private func member(_ name: String) -> YAMLNode? {
        guard case .mapping(let entries) = self.content else { return nil }
        return entries.first { $0.key == name }?.value
    }
}
