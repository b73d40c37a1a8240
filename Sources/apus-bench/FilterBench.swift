internal import ApusCore
internal import ApusEngine
internal import ApusJSON

/// What a filter costs per event: nanoseconds, beside a walk of the event's attributes that looks at nothing.
enum FilterBench {
    private static let events = 200_000

    private static let event = EventBlock.encode(
        Event(
            key: Array("customer-7".utf8),
            attributes: [
                Attribute("id", "0123456789abcdef"), Attribute("source", "/shop/eu", kind: .uriReference),
                Attribute("type", "com.example.order.created"), Attribute("subject", "order/7"),
                Attribute("time", "2026-01-31T12:00:00Z", kind: .timestamp),
                Attribute("datacontenttype", "application/json"),
            ],
            data: Array(#"{"total": 120, "currency": "EUR", "lines": [{"sku": "a-1"}, {"sku": "b-2"}], "note": ""#.utf8)
                + [UInt8](repeating: UInt8(ascii: "x"), count: 900) + Array(#""}"#.utf8)))

    private static func value(_ name: String) -> FilterExpression { .value(.attribute(name)) }

    private static let filters: [(name: String, filter: EventFilter)] = {
        let type = FilterReference.attribute("type")
        let pattern = FilterExpression.like(Self.value("type"), pattern: "com.example.%", isNegated: false)
        let set = FilterExpression.isIn(Self.value("source"), [.text("/shop/us"), .text("/shop/eu")], isNegated: false)
        let total = FilterExpression.value(.data([.member("total")]))
        return [
            ("exact", .exact([FilterCondition(type, "com.example.order.created")])),
            ("prefix", .prefix([FilterCondition(type, "com.example.")])),
            ("like_and_in", .sql("", .binary(.and, pattern, set))),
            ("like_inside", .sql("", .like(Self.value("type"), pattern: "%order%_d", isNegated: false))),
            ("data", .sql("", .binary(.greater, total, .integer(100)))),
        ]
    }()

    private static let reader: FilterDataReader = { data, paths in
        JSONPaths.find(paths, in: data).map { range in
            range.flatMap { Int32(String(decoding: data[$0], as: UTF8.self)) }.map { .integer($0) }
        }
    }

    static func run(_ options: BenchOptions) throws -> BenchReport {
        var figures: [Figure] = []
        for (name, filter) in Self.filters {
            guard let compiled = SubscriptionFilter(filter) else { throw BenchFailure("\(name) is too large") }
            var figure = Figure("\(name)_ns", unit: "ns")
            for _ in 0..<options.rounds {
                let floor = try Self.nanoseconds { layout, bytes in
                    var count = 0
                    try layout.forEachAttribute(in: bytes) { _, _, _ in
                        count += 1
                        return true
                    }
                    return count == 6
                }
                let took = try Self.nanoseconds { layout, bytes in
                    try compiled.evaluate(layout, in: bytes, data: Self.reader).isMatch
                }
                figure.add(took, floor: floor)
            }
            figures.append(figure)
        }
        return BenchReport("filter", figures)
    }

    private static func nanoseconds(_ body: (EventLayout, RawSpan) throws -> Bool) throws -> Double {
        let bytes = Self.event.span.bytes
        let layout = try EventLayout(parsing: bytes)
        let clock = ContinuousClock()
        let start = clock.now
        for _ in 0..<Self.events {
            guard try body(layout, bytes) else { throw BenchFailure("a filter does not take the event") }
        }
        let elapsed = (clock.now - start).components
        return (Double(elapsed.seconds) * 1e9 + Double(elapsed.attoseconds) / 1e9) / Double(Self.events)
    }
}
