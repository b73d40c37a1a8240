public import ApusCore
internal import ApusEngine
internal import ApusJSON

/// The record's JSON: an object per list, lists of numbers where there are many rows, since a server writes one a minute for ever.
extension UsageRecord {
    private static let type = "dev.apus.usage.v1"

    /// The key is the run, so that its records stay in their order.
    public var event: Event {
        Event(
            key: Array(self.run.utf8), attributes: [Attribute("type", Self.type)], data: self.json.encoded(),
            timestamp: self.to)
    }

    var json: JSONValue {
        [
            "node": .string(self.node), "run": .string(self.run), "sequence": .number(self.sequence),
            "from": .integer(self.from.microseconds), "to": .integer(self.to.microseconds),
            "functions": .array(self.functions.map(\.json)), "shares": .array(self.shares.map(\.json)),
            "devices": .array(self.devices.map(\.json)), "callers": .array(self.callers.map(\.json)),
            "transitions": .array(self.transitions.map(\.json)),
        ]
    }

    /// - Returns: nil when the record is none of usage.
    public init?(_ event: Event) {
        guard let data = event.data, let json = try? JSONValue.parse(data, refusesDuplicates: false),
            let node = json["node"]?.string, let run = json["run"]?.string,
            let sequence = json["sequence"]?.unsigned, let from = json["from"]?.integer, let to = json["to"]?.integer
        else { return nil }
        self.init(
            node: node, run: run, sequence: sequence, from: Timestamp(microseconds: from),
            to: Timestamp(microseconds: to))
        self.functions = json["functions"]?.array?.compactMap(Function.init) ?? []
        self.shares = json["shares"]?.array?.compactMap(Share.init) ?? []
        self.devices = json["devices"]?.array?.compactMap(Device.init) ?? []
        self.callers = json["callers"]?.array?.compactMap(Caller.init) ?? []
        self.transitions = json["transitions"]?.array?.compactMap(UsageTransition.init) ?? []
    }
}

extension JSONValue {
    fileprivate static func numbers(_ values: Int64...) -> JSONValue { .array(values.map { .integer($0) }) }

    /// As many numbers as are asked for, 0 for those that are not there.
    fileprivate func numbers(_ name: String, _ count: Int) -> [Int64] {
        let values = self[name]?.array?.map { $0.integer ?? 0 } ?? []
        return (0..<count).map { values.indices.contains($0) ? values[$0] : 0 }
    }

    fileprivate var name: ResourceName? {
        guard let namespace = self["namespace"]?.string.flatMap({ Namespace($0) }) else { return nil }
        return self["function"]?.string.flatMap { ResourceName(namespace, $0) }
    }
}

extension ResourceName {
    fileprivate var members: [(String, JSONValue)] {
        [("namespace", .string(self.namespace.name)), ("function", .string(self.name))]
    }
}

extension IdleGaps.Seen {
    fileprivate var json: JSONValue {
        let buckets = self.buckets.sorted { $0.key < $1.key }.map {
            JSONValue.numbers(Int64($0.key), $0.value.count, $0.value.span)
        }
        return ["first": .integer(self.first), "buckets": .array(buckets)]
    }

    fileprivate init(_ json: JSONValue?) {
        self.init()
        self.first = json?["first"]?.integer ?? 0
        for row in json?["buckets"]?.array ?? [] {
            guard let bucket = row[0]?.int, let count = row[1]?.integer, let span = row[2]?.integer else { continue }
            self.buckets[bucket] = IdleGaps.Count(count: count, span: span)
        }
    }
}

extension UsageRecord.Function {
    fileprivate var json: JSONValue {
        .object(
            JSONObject(
                self.name.members + [
                    ("calls", .numbers(self.calls, self.failed, self.running)),
                    (
                        "workers",
                        .numbers(
                            self.workers.busy, self.workers.idle, self.workers.starting, self.workers.memory,
                            self.workers.processor)
                    ),
                    ("starts", .numbers(self.starts.count, self.starts.span)),
                ] + (self.gaps.isEmpty ? [] : [("gaps", self.gaps.json)])))
    }

    fileprivate init?(_ json: JSONValue) {
        guard let name = json.name else { return nil }
        self.init(name)
        let calls = json.numbers("calls", 3)
        (self.calls, self.failed, self.running) = (calls[0], calls[1], calls[2])
        let workers = json.numbers("workers", 5)
        (self.workers.busy, self.workers.idle, self.workers.starting) = (workers[0], workers[1], workers[2])
        (self.workers.memory, self.workers.processor) = (workers[3], workers[4])
        let starts = json.numbers("starts", 2)
        self.starts = IdleGaps.Count(count: starts[0], span: starts[1])
        self.gaps = IdleGaps.Seen(json["gaps"])
    }
}

extension UsageRecord.Share {
    fileprivate var json: JSONValue {
        .object(
            JSONObject(
                self.name.members + [
                    ("kind", .string(self.kind)), ("simulated", .boolean(self.isSimulated)),
                    (
                        "share",
                        .numbers(self.share.busy, self.share.idle, self.share.transfer, self.share.host, self.portion)
                    ),
                    (
                        "starts",
                        .numbers(self.starts.count, self.starts.span, self.wakes.count, self.wakes.span)
                    ),
                ] + (self.gaps.isEmpty ? [] : [("gaps", self.gaps.json)])))
    }

    fileprivate init?(_ json: JSONValue) {
        guard let name = json.name, let kind = json["kind"]?.string else { return nil }
        self.init(name, kind: kind, isSimulated: json["simulated"]?.boolean ?? false)
        let share = json.numbers("share", 5)
        (self.share.busy, self.share.idle, self.share.transfer) = (share[0], share[1], share[2])
        (self.share.host, self.portion) = (share[3], share[4])
        let starts = json.numbers("starts", 4)
        self.starts = IdleGaps.Count(count: starts[0], span: starts[1])
        self.wakes = IdleGaps.Count(count: starts[2], span: starts[3])
        self.gaps = IdleGaps.Seen(json["gaps"])
    }
}

extension UsageRecord.Device {
    fileprivate var json: JSONValue {
        [
            "device": .string(self.id), "kind": .string(self.kind), "simulated": .boolean(self.isSimulated),
            "parts": .numbers(self.usage.busy, self.usage.idle, self.usage.transfer, self.usage.unallocated),
        ]
    }

    fileprivate init?(_ json: JSONValue) {
        guard let id = json["device"]?.string, let kind = json["kind"]?.string else { return nil }
        var usage = DeviceUsage()
        let parts = json.numbers("parts", 4)
        (usage.busy, usage.idle, usage.transfer, usage.unallocated) = (parts[0], parts[1], parts[2], parts[3])
        self.init(id: id, kind: kind, isSimulated: json["simulated"]?.boolean ?? false, usage: usage)
    }
}

extension UsageRecord.Caller {
    fileprivate var json: JSONValue {
        .object(
            JSONObject(
                self.name.members + [
                    ("principal", .string(self.principal)), ("calls", .numbers(self.calls, self.failed, self.running)),
                ]))
    }

    fileprivate init?(_ json: JSONValue) {
        guard let name = json.name, let principal = json["principal"]?.string else { return nil }
        let calls = json.numbers("calls", 3)
        self.init(name, principal: principal, calls: calls[0], failed: calls[1], running: calls[2])
    }
}

extension UsageTransition {
    fileprivate var json: JSONValue {
        .object(
            JSONObject(
                self.name.members + [
                    ("at", .integer(self.at.microseconds)), ("instance", .number(self.instance)),
                    ("revision", .string(self.revision)), ("device", .string(self.device)),
                    ("before", .string(self.before)), ("after", .string(self.after)), ("cause", .string(self.cause)),
                    ("tier", .string(self.tier)),
                ]))
    }

    fileprivate init?(_ json: JSONValue) {
        guard let name = json.name, let at = json["at"]?.integer, let instance = json["instance"]?.unsigned else {
            return nil
        }
        func text(_ member: String) -> String { json[member]?.string ?? "" }
        self.init(
            at: Timestamp(microseconds: at), instance: instance, name: name, revision: text("revision"),
            device: text("device"), before: text("before"), after: text("after"), cause: text("cause"),
            tier: text("tier"))
    }
}
