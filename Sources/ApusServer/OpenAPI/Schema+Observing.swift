internal import ApusCore
internal import ApusHost
internal import ApusJSON
internal import ApusManifest

/// Forms of what is watched: schedules, deliveries, rates.
extension Schema {
    static let schedule = object([
        "function": label, "namespace": label, "trigger": text, "cron": text("*/5 * * * *"),
        "zone": text("Europe/Paris"), "missed": oneOf(ScheduleTriggerManifest.Missed.allCases.map(\.rawValue)),
        "paused": boolean,
        "next": said(orNull(time), "Null for one that is paused or never fires again"),
        "last": said(
            orNull(object(["scheduled": time, "fired": time, "invocation": orNull(text)])), "Null before the first"),
        "fired": count, "skipped": count, "problem": said(orNull(text), "Why the last firing was not accepted"),
    ])

    static let timing = said(
        object(
            [
                "queued": count, "start": oneOf(StartTier.allCases.map(\.rawValue)), "starting": count,
                "running": count,
            ],
            optional: [
                "committing": said(orNull(count), "Of a delivery, once its outcome is on the log"),
                "isolation": oneOf(WorkerIsolation.Level.allCases.map(\.name)),
                "isolationMode": oneOf(WorkerIsolation.Mode.allCases.map(\.rawValue)),
                "calls": said(oneOf(WorkerIsolation.Calls.allCases.map(\.rawValue)), "What it had to itself"),
                "missingLayers": said(list(text), "Isolation that its host could not give"),
                "denied": said(
                    list(object(["call": text("socket"), "arguments": text("AF_INET, SOCK_STREAM"), "count": count])),
                    "What its sandbox refused while it ran alone on its worker"),
            ]),
        "Where the time of an attempt went, in microseconds, and behind what it ran")

    static let delivery: JSONValue = {
        let attempt = object([
            "number": count, "worker": count, "dispatched": time,
            "ended": said(orNull(time), "Null while it runs"), "code": said(orNull(text), "Null for a success"),
            "timing": named("Timing"),
        ])
        let event = object(
            ["bytes": said(count, "Of its data")],
            optional: ["keyHash": text, "id": text, "source": text, "type": text])
        return object(
            [
                "id": text, "state": oneOf(DeliveryState.allCases.map(\.rawValue)), "namespace": label,
                "function": label, "revision": text, "arrived": time, "attempts": count,
                "lastAttempts": list(attempt), "trace": orNull(text),
            ],
            optional: [
                "settled": time, "committing": said(orNull(count), "Microseconds"), "message": text,
                "trigger": orNull(text), "topic": text, "partition": count, "offset": count,
                "event": orNull(event),
            ])
    }()

    static let stats: JSONValue = {
        let series = said(list(count), "A number for each second, the oldest first")
        let rate: JSONValue = ["type": "number", "minimum": 0]
        let distribution = said(
            object(["count": count, "p50": orNull(count), "p99": orNull(count)]), "Microseconds, to a factor of two")
        let buckets = object(
            [
                "count": count, "p50": orNull(count), "p99": orNull(count),
                "buckets": list(object(["atMost": count, "count": count])),
            ])
        return object([
            "time": time, "seconds": count, "coldStarts": buckets,
            "functions": list(
                object([
                    "name": label, "perSecond": rate, "failuresPerSecond": rate, "succeeded": series, "failed": series,
                    "totals": object(["succeeded": count, "failed": count, "deadLettered": count]),
                    "queued": distribution, "running": distribution, "coldStarts": distribution,
                    "costPerHour": rate,
                ])),
            "topics": list(object(["name": text, "perSecond": rate, "bytesPerSecond": rate, "records": series])),
            "triggers": list(
                object([
                    "function": label, "trigger": text, "topic": text, "lag": count, "unsettled": count,
                    "ready": count, "deadLetters": count, "duplicates": count, "expired": count,
                    "blocked": orNull(text),
                ])),
            "instances": said(["type": "object", "additionalProperties": count], "Workers by their state"),
            "waiting": said(count, "Events that may run and wait for a worker"),
            "cost": said(
                object(["perHour": orNull(rate), "currency": text, "simulated": boolean]), "As things are now"),
            "devices": said(
                list(
                    object([
                        "id": text, "kind": text, "simulated": boolean, "health": text, "used": count,
                        "capacity": count, "instances": list(object(["function": label, "state": text])),
                    ])), "Of the whole server; none for who may not see them"),
            "fetches": said(
                list(object(["function": label, "fetched": count, "bytes": orNull(count)])),
                "Functions whose starts wait for weights that come to this server, and how much of these is here"),
        ])
    }()
}
