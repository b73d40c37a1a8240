internal import ApusCore

extension DocumentChecker {
    /// - Parameter name: of the trigger; nil when it was found wrong.
    mutating func httpTrigger(_ http: Checked, _ name: String?) -> HTTPTriggerManifest? {
        let methods = self.methods(http)
        guard let path = self.pattern(http) else { return nil }
        let authentication = http["auth"]?.text.flatMap { HTTPTriggerManifest.Authentication(rawValue: $0) }
        return HTTPTriggerManifest(
            name: name ?? "", path: path, methods: methods, authentication: authentication ?? .required)
    }

    private mutating func pattern(_ http: Checked) -> HTTPPathPattern? {
        guard let field = http["path"], let text = field.text else { return nil }
        do throws(HTTPPathPattern.Flaw) { return try HTTPPathPattern(parsing: text) } catch {
            self.checker.fail(
                field.location, "`\(field.path)` is `\(YAMLNode.shorten(text))`, expected \(error.expected)")
            return nil
        }
    }

    private mutating func methods(_ http: Checked) -> [String] {
        guard let field = http["methods"] else { return [] }
        let names = field.list.compactMap(\.text)
        if field.list.isEmpty {
            self.checker.fail(
                field.location ?? http.location, "`\(field.path)` is empty, expected at least one method")
        }
        if Set(names).count != names.count {
            self.checker.fail(
                field.location ?? http.location, "`\(field.path)` names a method twice, expected each once")
        }
        return HTTPTriggerManifest.allMethods.filter(names.contains)
    }

    /// Two triggers of one function that want the same requests; those of other functions are known where it is deployed.
    mutating func checkDistinct(_ triggers: [HTTPTriggerManifest]) {
        for (index, trigger) in triggers.enumerated() {
            for other in triggers[..<index] {
                guard let conflict = trigger.conflict(with: other) else { continue }
                let path = self.checker.locations.path(ofTrigger: trigger.name) ?? "spec.triggers"
                self.checker.fail(
                    self.checker.locations["\(path).http.path"],
                    "`\(path).http`: \(conflict); the other is the trigger `\(other.name)` of this function, expected another path or other methods"
                )
            }
        }
    }
}
