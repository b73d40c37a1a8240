internal import ApusCore
internal import ApusManifest

/// What functions say of topics, against the topics there are or will be.
struct ReferenceRules {
    struct Problem: Equatable {
        var code: ErrorCode
        var message: String
    }

    /// What exists already and what comes with the deploy.
    let topics: [TopicName: TopicConfiguration]
    /// Those that are set.
    var secrets: Set<SecretName> = []

    func problems(of function: FunctionManifest) -> [Problem] {
        var problems: [Problem] = []
        for (topic, path) in function.referencedTopics where self.topics[topic] == nil {
            problems.append(
                Problem(
                    code: .topicNotFound,
                    message: self.place(function, path)
                        + "the topic '\(Self.shown(topic))' neither exists nor comes with this deploy"
                        + "; add a Topic document for it"
                )
            )
        }
        for (text, path) in function.secretUses {
            if let name = SecretName(function.namespace, text), self.secrets.contains(name) { continue }
            problems.append(
                Problem(
                    code: .secretNotFound,
                    message: self.place(function, path)
                        + "the secret '\(text.prefix(Limits.Secrets.nameBytes))' is not set in the namespace '\(function.namespace)': "
                        + "set it first, with `apus secret set`"
                )
            )
        }
        for trigger in function.triggers {
            let path = function.path(ofTrigger: trigger.name)
            if trigger.isTable, let topic = self.topics[trigger.topic], !topic.isCompacted {
                problems.append(
                    Problem(
                        code: .manifestInvalid,
                        message: self.place(function, "\(path).topic")
                            + "the topic '\(Self.shown(trigger.topic))' cannot be a table: it is not compacted (spec: {compact: true})"
                    )
                )
            }
            if trigger.dedupWindow != nil, self.topics[trigger.topic]?.isCompacted == true {
                problems.append(
                    Problem(
                        code: .manifestInvalid,
                        message: self.place(function, "\(path).dedup")
                            + "the topic '\(Self.shown(trigger.topic))' is compacted: a newer record takes the place of an older one "
                            + "of its key, so that nothing is left to skip; leave `dedup` out"
                    )
                )
            }
            if let deadLetter = trigger.deadLetter, self.topics[deadLetter]?.isCompacted == true {
                problems.append(
                    Problem(
                        code: .manifestInvalid,
                        message: self.place(function, "\(path).deadLetter")
                            + "the topic '\(Self.shown(deadLetter))' is compacted and would lose dead letters; name one that is not"
                    )
                )
            }
        }
        return problems
    }

    /// All problems as one error, a line each; nil when there are none. What is missing comes before what does not fit.
    static func error(_ problems: [Problem]) -> ApusError? {
        guard !problems.isEmpty else { return nil }
        let code = [ErrorCode.topicNotFound, .secretNotFound].first { code in problems.contains { $0.code == code } }
        return ApusError(code ?? .manifestInvalid, problems.map(\.message).joined(separator: "\n"))
    }

    private func place(_ function: FunctionManifest, _ path: String) -> String {
        function.locations[path].map { "\($0): " } ?? "function '\(function.name)', \(path): "
    }

    private static func shown(_ topic: TopicName) -> String { topic.local?.name ?? topic.onLog }
}
