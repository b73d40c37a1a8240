internal import ApusCore
internal import ApusJSON

extension Shape {
    /// One of a function's `triggers`.
    static let trigger = ObjectShape(
        [
            Field("topic", .text(.topic), "The topic whose events it gets."),
            Field("http", .object(Self.http), "A path under `/fn` whose requests it answers."),
            Field(
                "schedule", .scalarOr(.text(.cron), .object(Self.schedule)),
                "When it runs by the clock: a cron line in UTC, or one with its time zone."),
            Field(
                "name", .text(.label),
                "Identity of the trigger's position; default: the topic with . as -, or http, or schedule."),
            Field(
                "table", .boolean, "The topic is this function's table: every worker is fed it from its first record.",
                standard: false),
            Field(
                "filter", .filter,
                "Which events: those with exactly these attributes, or by `exact`, `prefix`, `suffix`, `all`, `any`, `not` "
                    + "and `sql` (docs/filters.md).", standard: [:]),
            Field(
                "order", .choice([Choice("key"), Choice("partition"), Choice("none")]), "What is done in order.",
                standard: "key"),
            Field(
                "from", .wordOr([Choice("earliest"), Choice("latest")], .text(.moment)),
                "Where a new trigger begins: earliest, latest, or a moment.", standard: "earliest"),
            Field("replyTo", .text(.topic), "The topic its results go to."),
            Field("retry", .object(Self.retry), "What happens after a failed attempt.", standard: [:]),
            Field("deadLetter", .text(.topic), "The topic of deliveries given up on; default apus.dead."),
            Field(
                "onExhausted", .choice([Choice("deadLetter"), Choice("block"), Choice("drop")]),
                "What becomes of a delivery without attempts left; default deadLetter with a dead-letter topic, "
                    + "else block."
            ),
            Field(
                "delivery", .choice([Choice("at-least-once"), Choice("exactly-once")]),
                "How often an event's outputs may be there: exactly-once ties them to the trigger's position.",
                standard: "at-least-once"),
            Field(
                "dedup",
                .object(
                    ObjectShape([
                        Field(
                            "window", .span(.seconds(1)...Self.days(30)), "How long a repeated id is recognised.",
                            required: true)
                    ])), "Skip events whose source and id were there already, in the same partition."),
            Field(
                "onExpired", .choice([Choice("skip"), Choice("deadLetter")]),
                "What becomes of an event whose `expirytime` passes before it could run.", standard: "skip"),
            Field("paused", .boolean, "Deliver nothing for now.", standard: false),
        ], exactlyOneOf: [["topic", "http", "schedule"]])

    /// The fields that mean something for a table; others are refused there.
    static let tableFields: Set<String> = ["topic", "name", "table"]
    /// The fields of a trigger that mean something only for a topic.
    static let topicOnlyFields: Set<String> = [
        "table", "filter", "order", "from", "replyTo", "retry", "deadLetter", "onExhausted", "delivery", "dedup",
        "onExpired",
    ]

    /// The fields that mean something for an HTTP trigger.
    static let httpFields: Set<String> = ["http", "name"]

    private static let retry = ObjectShape([
        Field(
            "attempts", .wordOr([Choice("unlimited")], .integer(-1...Int64(Limits.Manifest.attempts))),
            "Attempts in all, the first included; unlimited, 0 and -1 have no bound.", standard: 5),
        Field(
            "initial", .span(.milliseconds(1) ... .seconds(3_600)),
            "Wait before the second attempt; doubled each time.", standard: "200ms"),
        Field("max", .span(.milliseconds(1)...Self.days(1)), "The longest wait.", standard: "30s"),
        Field(
            "maxAge", .span(.seconds(1)...Self.days(365)),
            "No further attempt begins later than this after the event was appended; without it age does not count."),
    ])

    private static let http = ObjectShape([
        Field("path", .text(.urlPath), "The path, with names in braces for its variable parts.", required: true),
        Field(
            "methods",
            .list(
                .choice(HTTPTriggerManifest.allMethods.map { Choice($0) }), max: HTTPTriggerManifest.allMethods.count),
            "The methods it answers.", standard: ["POST"]),
        Field(
            "auth", .choice([Choice("required"), Choice("public")]), "Whether callers need a token.",
            standard: "required"),
    ])

    private static let schedule = ObjectShape([
        Field(
            "cron", .text(.cron), "Minute, hour, day of month, month, day of week; or @hourly, @daily and so on.",
            required: true),
        Field("zone", .text(.zone), "The time zone, such as Europe/Paris.", standard: "UTC"),
        Field(
            "missed", .choice([Choice("skip"), Choice("once"), Choice("all")]),
            "What becomes of times that passed while the server was down or the function paused.",
            standard: "once"),
    ])
}
