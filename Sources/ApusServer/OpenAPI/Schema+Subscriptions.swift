internal import ApusCore
internal import ApusJSON

/// Forms of subscriptions and replays.
extension Schema {
    private static let counters = said(
        object([
            "settled": count, "filtered": count, "superseded": count, "expired": count,
            "lost": said(count, "Gone by retention before they were read"), "attemptsFailed": count,
            "deadLetters": count, "dropped": count,
        ]), "Since the server's start")

    private static let blocks = said(
        list(
            object(
                ["code": text("paused"), "message": text, "partitions": list(count)],
                optional: ["offset": said(count, "Where it is stuck")])),
        "Why it, or some of its partitions, cannot go on")

    private static let partitionStatus = object([
        "partition": count, "position": said(count, "All before it is settled"),
        "read": said(count, "Where the next record is read"), "end": count, "lag": count, "oldest": orNull(time),
        "running": count, "ready": count, "retrying": count, "held": count, "settling": count,
    ])

    static let subscription = object(
        [
            "function": label, "namespace": label, "trigger": label, "topic": text,
            "replay": said(orNull(text), "Of a replay, its id"),
            "state": oneOf(["caught_up", "running", "retrying", "blocked", "paused"]), "paused": boolean,
            "lag": said(count, "Records that are not settled"),
            "oldest": said(orNull(time), "When the log took the oldest of them"),
            "oldestSeconds": orNull(["type": "number", "minimum": 0]),
            "running": said(count, "Attempts under way"), "ready": said(count, "Wait for a worker"),
            "retrying": said(count, "Wait for their next attempt"),
            "held": said(count, "Wait behind another of their key"),
            "settling": said(count, "Ended, and not durable yet"), "blocked": blocks, "counters": counters,
            "from": said(text("earliest"), "Where it was to start"), "starts": said(list(count), "What that meant"),
            "generation": said(count, "Of the function, when the trigger was made"),
            "group": said(text, "As tools of the log see it"),
        ],
        optional: [
            "to": time, "rate": said(orNull(count), "Deliveries a second of a replay"),
            "partitions": list(partitionStatus),
        ])

    static let replay = object(
        [
            "id": orNull(text), "function": label, "namespace": label, "trigger": label, "topic": text,
            "state": oneOf(["planned", "running", "paused", "finished", "cancelled"]),
            "from": said(orNull(time), "Null is from the first record there was"), "to": time,
            "rate": said(orNull(count), "Deliveries a second; null has no bound"), "outputs": boolean,
            "principal": text, "created": time,
            "total": said(count, "Offsets from its starts to its ends: at least as many as records"),
            "done": said(orNull(count), "Offsets behind it; null for one that was cancelled"),
            "partitions": list(object(["partition": count, "start": count, "end": count])),
        ],
        optional: [
            "ended": time, "blocked": blocks, "running": count, "retrying": count, "counters": counters,
        ])
}
