internal import ApusCore
internal import ApusManifest

/// What the HTTP triggers of a deploy say, against those of the other functions of the same namespaces.
struct HTTPTriggerRules {
    /// What there will be once the deploy took effect, the deploy's own functions among it.
    let functions: [FunctionManifest]

    /// - Throws: `conflict` with every trigger that wants what another function has, a line each.
    func check(_ deployed: [FunctionManifest]) throws(ApusError) {
        var problems: [String] = []
        for function in deployed where !function.httpTriggers.isEmpty {
            for other in self.functions.sorted(by: { $0.name < $1.name })
            where other.namespace == function.namespace && other.name != function.name {
                problems += self.problems(function, other)
            }
        }
        guard problems.isEmpty else { throw ApusError(.conflict, problems.joined(separator: "\n")) }
    }

    private func problems(_ function: FunctionManifest, _ other: FunctionManifest) -> [String] {
        var problems: [String] = []
        for trigger in function.httpTriggers {
            for rival in other.httpTriggers {
                guard let conflict = trigger.conflict(with: rival) else { continue }
                let path = "\(function.path(ofTrigger: trigger.name)).http"
                let place =
                    function.locations["\(path).path"].map { "\($0): " } ?? "function '\(function.name)', \(path): "
                problems.append(
                    "\(place)\(conflict): the other is of the function '\(other.name)' (trigger '\(rival.name)'); "
                        + "choose another path or other methods, or delete that function")
            }
        }
        return problems
    }
}
