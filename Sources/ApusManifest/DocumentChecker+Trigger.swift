internal import ApusCore
internal import ApusJSON

extension DocumentChecker {
    /// The triggers of a function, each kind in the order of the file.
    struct Triggers {
        var topics: [TriggerManifest] = []
        var http: [HTTPTriggerManifest] = []
        var schedules: [ScheduleTriggerManifest] = []
    }

    mutating func triggers(_ spec: Checked, _ namespace: Namespace) -> Triggers {
        var triggers = Triggers()
        guard let field = spec["triggers"] else { return triggers }
        var names: Set<String> = []
        for trigger in field.list {
            self.checkFit(trigger)
            let name = self.distinctName(trigger, &names)
            if let http = trigger["http"] {
                if let made = self.httpTrigger(http, name) { triggers.http.append(made) }
            } else if let schedule = trigger["schedule"] {
                if let made = self.schedule(trigger, schedule, name ?? "") { triggers.schedules.append(made) }
            } else if let topic = self.topicName(trigger["topic"], namespace) {
                let isTable = trigger["table"]?.boolean ?? false
                triggers.topics.append(
                    isTable
                        ? self.table(trigger, name ?? "", topic)
                        : self.topicTrigger(trigger, name ?? "", topic, namespace))
            }
        }
        self.checkDistinct(triggers.http)
        return triggers
    }

    /// The trigger's name; nil when it has none that may stand.
    private mutating func distinctName(_ trigger: Checked, _ names: inout Set<String>) -> String? {
        guard let name = self.name(trigger) else { return nil }
        guard names.insert(name).inserted else {
            self.checker.fail(
                trigger["name"]?.location ?? trigger["topic"]?.location ?? trigger["schedule"]?.location
                    ?? trigger.location,
                "a second trigger is named `\(name)`, expected names that differ: give this one a `name` of its own"
            )
            return nil
        }
        self.checker.noteTrigger(name, trigger.path)
        return name
    }

    /// A cron line alone is in UTC.
    private func schedule(_ trigger: Checked, _ field: Checked, _ name: String) -> ScheduleTriggerManifest? {
        guard let text = field.text ?? field["cron"]?.text, let cron = try? CronSchedule(text) else { return nil }
        return ScheduleTriggerManifest(
            name: name, cron: cron, zone: field["zone"]?.text ?? "UTC",
            missed: field["missed"]?.text.flatMap { ScheduleTriggerManifest.Missed(rawValue: $0) } ?? .once,
            isPaused: trigger["paused"]?.boolean ?? false)
    }

    /// Fields that the file gives, without those whose default was filled in.
    private func given(_ trigger: Checked) -> [Checked] {
        // What was filled in has no place of its own; in JSON nothing has one, and there what differs from the default
        // was given.
        trigger.entries.filter { entry in
            guard entry.value.location == nil, let standard = Shape.trigger.field(entry.name)?.standard else {
                return true
            }
            guard trigger.location == nil else { return false }
            var scratch = ShapeChecker()
            let shape = Shape.trigger.field(entry.name)?.shape ?? .json
            return scratch.check(YAMLNode(json: standard), shape, "")?.plain != entry.value.plain
        }.map(\.value)
    }

    private mutating func checkFit(_ trigger: Checked) {
        let isTable = trigger["table"]?.boolean ?? false
        let isTopic = trigger["topic"] != nil
        for field in self.given(trigger) {
            let name = String(field.path.split(separator: ".").last ?? "")
            if isTable, isTopic, !Shape.tableFields.contains(name) {
                self.checker.fail(
                    field.location,
                    "`\(field.path)` means nothing with `table: true`, expected only topic, name and table")
            } else if !isTopic, trigger["http"] != nil || trigger["schedule"] != nil,
                Shape.topicOnlyFields.contains(name)
            {
                self.checker.fail(
                    field.location, "`\(field.path)` means nothing without a topic, expected a trigger with `topic`")
            } else if !isTopic, trigger["http"] != nil, trigger["schedule"] == nil, !Shape.httpFields.contains(name) {
                self.checker.fail(
                    field.location, "`\(field.path)` means nothing with `http`, expected only http and name")
            }
        }
    }

    private mutating func name(_ trigger: Checked) -> String? {
        if let name = trigger["name"]?.text { return name }
        // A name that was found wrong has been told.
        guard trigger["name"] == nil else { return nil }
        if trigger["http"] != nil { return "http" }
        if trigger["schedule"] != nil { return "schedule" }
        guard let topic = trigger["topic"], let text = topic.text else { return nil }
        let name = String(text.map { $0 == "." ? "-" : $0 })
        guard isLabel(name) else {
            self.checker.fail(
                topic.location,
                "the topic `\(YAMLNode.shorten(text))` gives no name for the trigger, "
                    + "expected a `name` of \(TextRule.label.expected)"
            )
            return nil
        }
        return name
    }

    private func table(_ trigger: Checked, _ name: String, _ topic: TopicName) -> TriggerManifest {
        TriggerManifest(
            name: name, topic: topic, isTable: true, filter: .none, order: .key, from: .earliest, replyTo: nil,
            retry: self.retry(trigger),
            deadLetter: nil, onExhausted: .block, isPaused: false)
    }

    private func retry(_ trigger: Checked) -> TriggerManifest.Retry {
        let retry = trigger["retry"]
        return TriggerManifest.Retry(
            attempts: Self.attempts(retry?["attempts"]), initial: retry?["initial"]?.span ?? .zero,
            max: retry?["max"]?.span ?? .zero, maxAge: retry?["maxAge"]?.span)
    }

    /// One name for no bound.
    private static func attempts(_ field: Checked?) -> Int {
        if field?.text != nil { return 0 }
        return max(0, Int(field?.integer ?? 1))
    }

    private mutating func topicTrigger(
        _ trigger: Checked, _ name: String, _ topic: TopicName, _ namespace: Namespace
    ) -> TriggerManifest {
        let order = trigger["order"]?.text.flatMap { TriggerManifest.Order(rawValue: $0) } ?? .key
        let deadLetter = self.topicName(trigger["deadLetter"], namespace)
        if deadLetter == topic {
            self.checker.fail(
                trigger["deadLetter"]?.location,
                "`deadLetter` is the trigger's own topic `\(topic)`, expected another one")
        }
        let retry = self.retry(trigger)
        if let initial = trigger["retry"]?["initial"], let max = trigger["retry"]?["max"], retry.initial > retry.max {
            self.checker.fail(
                initial.location ?? max.location,
                "`\(initial.path)` is \(retry.initial), expected at most `max`, which is \(retry.max)")
        }
        return TriggerManifest(
            name: name, topic: topic, isTable: false, filter: trigger["filter"]?.filter ?? .none, order: order,
            from: self.from(trigger),
            replyTo: self.topicName(trigger["replyTo"], namespace), retry: retry, deadLetter: deadLetter,
            onExhausted: self.onExhausted(trigger, order), isPaused: trigger["paused"]?.boolean ?? false,
            delivery: trigger["delivery"]?.text.flatMap { TriggerManifest.Delivery(rawValue: $0) } ?? .atLeastOnce,
            dedupWindow: trigger["dedup"]?["window"]?.span,
            onExpired: trigger["onExpired"]?.text.flatMap { TriggerManifest.OnExpired(rawValue: $0) } ?? .skip)
    }

    /// Without an order nothing needs to stop at a delivery that failed for good, so that neither choice goes without
    /// saying.
    private mutating func onExhausted(_ trigger: Checked, _ order: TriggerManifest.Order) -> TriggerManifest.OnExhausted
    {
        if let chosen = trigger["onExhausted"]?.text.flatMap({ TriggerManifest.OnExhausted(rawValue: $0) }) {
            return chosen
        }
        if trigger["deadLetter"] != nil { return .deadLetter }
        if order == .none {
            self.checker.fail(
                trigger["order"]?.location ?? trigger.location,
                "`\(trigger.path).onExhausted` is missing, expected deadLetter, block or drop: `order: none` must choose"
            )
        }
        return .block
    }

    private func from(_ trigger: Checked) -> StartPosition {
        switch trigger["from"]?.text {
        case "latest": .latest
        case .some(let text): Moment.parse(text).map { .timestamp($0) } ?? .earliest
        case nil: .earliest
        }
    }
}
