internal import ApusCore
internal import ApusJSON
internal import ApusStore

extension OperationDescription {
    /// Devices, and what was used and what it cost.
    static let usage: [String: OperationDescription] = [
        "listDevices": OperationDescription(
            "Of this server alone. Figures of devices that are declared and not found say `simulated`.",
            answers: [Answer(200, "Devices in the order in which they were found.", [.json(Self.deviceList)])]),
        "drainDevice": OperationDescription(
            "What runs there goes on, what is idle leaves. It stays so over restarts, until `clear`.",
            parameters: [
                .path("id", Schema.text("GPU-6a7d2c10-0f4b-4f0e-9c55-8d5a9b3b6f11"), "As `GET /v1/devices` says.")
            ],
            answers: [Answer(200, "It drains.", [.json(Self.device)])], codes: [.notFound]),
        "clearDevice": OperationDescription(
            "Ends a drain or a quarantine. An operator says so once the cause is gone: nobody checks it.",
            parameters: [
                .path("id", Schema.text("GPU-6a7d2c10-0f4b-4f0e-9c55-8d5a9b3b6f11"), "As `GET /v1/devices` says.")
            ],
            answers: [Answer(200, "It is in use again.", [.json(Self.device)])], codes: [.notFound]),
        "getUsage": OperationDescription(
            """
            All that was used on this server until now; of other servers on the same log, up to the last minute. Whole minutes, and whole
            hours of what is older than two days. Parts without a price cost nothing; without any, `cost` is null.
            """,
            parameters: [
                .query(
                    "by", Schema.text("label:team"), "`function` (default), `day`, `hour`, `principal` or `label:KEY`."),
                .query("from", Schema.time, "From when on; a day ago unless said."),
                .query("to", Schema.time, "Until when; now unless said."),
                .query("function", Schema.text("embed-text"), "Only this function."),
                .query(
                    "ttl", Schema.text("10m,1h"), "What keeping workers for so long after each use would have cost."),
            ],
            answers: [Answer(200, "Lines that add up, and their total.", [.json(Self.usageReport)])]),
        "getDeviceUsage": OperationDescription(
            "The parts of each device sum to the time that passed.",
            parameters: [
                .query("from", Schema.time, "From when on; a day ago unless said."),
                .query("to", Schema.time, "Until when; now unless said."),
            ],
            answers: [Answer(200, "Devices of all servers on this log.", [.json(Self.deviceUsageReport)])]),
        "listTransitions": OperationDescription(
            "The newest first. Uses are left out.",
            parameters: [.query("limit", Schema.integer(1...Limits.Projection.rowsPerQuery, default: 50), "How many.")],
            answers: [Answer(200, "Changes of its instances.", [.json(Schema.items(Self.transition))])]),
    ]

    private static let device = Schema.object(
        [
            "id": Schema.text, "kind": Schema.text("h100"), "name": Schema.text, "simulated": Schema.boolean,
            "health": Schema.oneOf(["working", "draining", "quarantined", "lost"]), "since": Schema.time,
            "memory": Schema.object([
                "capacity": Schema.count, "used": Schema.count,
                "ours": Schema.said(Schema.count, "Of processes that descend from this server"),
                "others": Schema.said(Schema.count, "Of anybody else: it blocks room"), "promised": Schema.count,
            ]),
            "links": Schema.said(
                Schema.object([
                    "hostToDevice": Schema.count, "deviceToHost": Schema.count, "disk": Schema.count,
                ]), "Bytes a second"),
            "part": Schema.said(Schema.boolean, "A part of a card that was divided (MIG)"),
            "instances": Schema.list(
                Schema.object([
                    "instance": Schema.count, "namespace": Schema.text, "function": Schema.text,
                    "revision": Schema.text, "state": Schema.text, "since": Schema.time, "bytes": Schema.count,
                    "tier": Schema.text,
                ])),
            "events": Schema.list(Schema.object(["at": Schema.time, "text": Schema.text])),
        ],
        optional: [
            "reason": Schema.text, "problem": Schema.said(Schema.text, "Why there is no newer reading"),
            "read": Schema.time, "driver": Schema.text, "node": Schema.count,
        ])

    private static let deviceList = Schema.object([
        "items": Schema.list(Self.device),
        "hanging": Schema.said(Schema.boolean, "The driver does not answer"), "simulated": Schema.boolean,
    ])

    private static let amount: JSONValue = ["type": "number"]
    private static let cost = Schema.orNull(
        Schema.object([
            "device": Self.amount, "host": Self.amount, "memory": Self.amount, "cpu": Self.amount,
            "total": Self.amount,
        ]))
    private static let prices = Schema.object([
        "currency": Schema.text("USD"), "devices": ["type": "object", "additionalProperties": Self.amount],
        "hostGiB": Self.amount, "cpu": Self.amount,
    ])

    private static let usageItem = Schema.object([
        "name": Schema.text, "calls": Schema.count, "failed": Schema.count, "runningSeconds": Self.amount,
        "workerSeconds": Schema.object(["busy": Self.amount, "idle": Self.amount, "starting": Self.amount]),
        "memoryGiBHours": Self.amount, "cpuHours": Self.amount,
        "deviceSeconds": Schema.object(["busy": Self.amount, "idle": Self.amount, "transfer": Self.amount]),
        "hostGiBHours": Self.amount, "starts": Schema.count, "wakes": Schema.count, "simulated": Schema.boolean,
        "cost": Self.cost,
    ])

    private static let keptItem = Schema.object([
        "idleSeconds": Self.amount, "coldStarts": Schema.count, "waitedSeconds": Self.amount,
        "cost": Schema.orNull(Self.amount),
    ])

    private static let usageReport = Schema.object(
        [
            "namespace": Schema.text, "from": Schema.time, "to": Schema.time, "by": Schema.text,
            "prices": Self.prices, "simulated": Schema.boolean, "items": Schema.list(Self.usageItem),
            "total": Self.usageItem,
        ],
        optional: [
            "kept": Schema.list(
                Schema.object([
                    "name": Schema.text, "kind": Schema.orNull(Schema.text), "was": Self.keptItem,
                    "simulated": Schema.boolean, "items": Schema.list(Self.keptItem),
                ]))
        ])

    private static let deviceUsageReport = Schema.object([
        "from": Schema.time, "to": Schema.time, "simulated": Schema.boolean, "prices": Self.prices,
        "items": Schema.list(
            Schema.object([
                "node": Schema.text, "device": Schema.text, "kind": Schema.text, "simulated": Schema.boolean,
                "seconds": Schema.object([
                    "busy": Self.amount, "idle": Self.amount, "transfer": Self.amount, "unallocated": Self.amount,
                    "total": Self.amount,
                ]), "cost": Schema.orNull(Self.amount),
            ])),
    ])

    private static let transition = Schema.object([
        "at": Schema.time, "instance": Schema.count, "revision": Schema.text, "device": Schema.text,
        "from": Schema.text, "to": Schema.text, "cause": Schema.text, "tier": Schema.text,
    ])
}
