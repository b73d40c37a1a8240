/// The columns of the tables of `apus top`, as they stand from left to right.
enum TopColumns {
    /// What a heading of eight columns holds, with the mark of the order.
    private static let narrow = 8

    static let functions: [TopColumn<TopReport.Function>] = [
        TopColumn(
            title: "EVENTS/S", width: 9, worth: 90, order: { $0.perSecond }, text: { TopText.rate($0.perSecond) }),
        TopColumn(
            title: "FAILED/S", width: 9, worth: 80, order: { $0.failuresPerSecond },
            text: { TopText.rate($0.failuresPerSecond) }, style: { $0.failuresPerSecond > 0 ? .bad : .plain }),
        TopColumn(
            title: "P50", width: narrow, worth: 60, order: { Double($0.running.p50 ?? -1) },
            text: { TopText.span($0.running.p50) }),
        TopColumn(
            title: "P99", width: narrow, worth: 70, order: { Double($0.running.p99 ?? -1) },
            text: { TopText.span($0.running.p99) }),
        TopColumn(
            title: "QUEUED P99", width: 11, worth: 30, order: { Double($0.queued.p99 ?? -1) },
            text: { TopText.span($0.queued.p99) }),
        TopColumn(
            title: "WORKERS", width: narrow, worth: 50, order: { Double($0.workers) },
            text: { $0.workers == 0 ? "-" : String($0.workers) }),
        TopColumn(
            title: "BUSY", width: 5, worth: 40, order: { Double($0.busy) },
            text: { $0.busy == 0 ? "-" : String($0.busy) }),
        TopColumn(
            title: "START P50", width: 10, worth: 25, order: { Double($0.starts.p50 ?? -1) },
            text: { TopText.span($0.starts.p50) }),
        TopColumn(
            title: "COST/H", width: narrow, worth: 33, order: { $0.costPerHour },
            text: { $0.costPerHour == 0 ? "-" : TopText.money($0.costPerHour) }),
        TopColumn(
            title: "FAILED", width: narrow, worth: 35, order: { Double($0.failed) }, text: { TopText.count($0.failed) },
            style: { $0.failed > 0 ? .warning : .plain }),
        TopColumn(
            title: "DEAD", width: 6, worth: 45, order: { Double($0.deadLettered) },
            text: { TopText.count($0.deadLettered) }, style: { $0.deadLettered > 0 ? .bad : .plain }),
    ]

    static let topics: [TopColumn<TopReport.Topic>] = [
        TopColumn(
            title: "EVENTS/S", width: 9, worth: 90, order: { $0.perSecond }, text: { TopText.rate($0.perSecond) }),
        TopColumn(
            title: "BYTES/S", width: narrow, worth: 60, order: { $0.bytesPerSecond },
            text: { TopText.bytes($0.bytesPerSecond) }),
        TopColumn(
            title: "LAG", width: narrow, worth: 80, order: { Double($0.lag) },
            text: { $0.readers == 0 ? "-" : TopText.count($0.lag) }, style: { $0.lag > 0 ? .warning : .plain }),
        TopColumn(
            title: "DEAD", width: 6, worth: 50, order: { Double($0.deadLetters) },
            text: { $0.readers == 0 ? "-" : TopText.count($0.deadLetters) },
            style: { $0.deadLetters > 0 ? .bad : .plain }),
        TopColumn(
            title: "READERS", width: narrow, worth: 20, order: { Double($0.readers) }, text: { String($0.readers) }),
        TopColumn(
            title: "FURTHEST BEHIND", width: 24, worth: 40, order: { Double($0.lag) },
            text: { topic in
                guard topic.lag > 0 else { return "-" }
                return topic.reader.count > 24 ? "…" + topic.reader.suffix(23) : topic.reader
            }),
    ]
}
