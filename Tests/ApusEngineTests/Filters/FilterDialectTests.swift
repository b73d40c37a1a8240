import ApusCore
import Testing

@testable import ApusEngine
@testable import ApusManifest

/// The dialects of CloudEvents Subscriptions, and what they are made of.
@Suite struct FilterDialectTests {
    private let event = Event(
        key: [0x6B],
        attributes: [
            Attribute("id", "1"), Attribute("source", "/shop/eu"), Attribute("type", "order.created"),
            Attribute("any", "x"), Attribute("region", "eu", kind: .header),
        ],
        data: Array(#"{"total": 12, "lines": [{"sku": "a"}]}"#.utf8))

    private func outcome(_ yaml: String) throws -> FilterOutcome? {
        try FilterBed.outcome(try FilterBed.filter(yaml), self.event)
    }

    @Test(arguments: [
        ("type: order.created", true), ("{type: order.created, source: /other}", false),
        ("exact: {type: order.created, source: /shop/eu}", true), ("exact: {any: x}", true),
        ("exact: {any: y}", false), ("prefix: {type: order.}", true), ("prefix: {type: order., source: /x}", false),
        ("prefix: {missing: a}", false), ("suffix: {type: .created}", true), ("suffix: {type: created.}", false),
        ("prefix: {type: order.created.and.more}", false),
        ("all: [{type: order.created}, {prefix: {source: /shop}}]", true),
        ("all: [{type: order.created}, {prefix: {source: /x}}]", false),
        ("any: [{type: nothing}, {suffix: {source: eu}}]", true), ("any: [{type: nothing}]", false),
        ("not: {type: nothing}", true), ("not: {not: {type: nothing}}", false),
        ("{type: order.created, not: {prefix: {source: /us}}, sql: \"EXISTS id\"}", true),
        ("{type: order.created, sql: \"id = 2\"}", false),
        ("sql: \"type LIKE 'order.%' AND source IN ('/shop/eu', '/shop/us')\"", true),
        ("key: k", true), ("{'headers[\"region\"]': eu}", true), ("{data.total: 12}", true),
        ("{'data.lines[0].sku': a}", true), ("prefix: {'data.lines[0].sku': b}", false),
        ("any: [{not: {all: [{type: order.created}, {sql: 'data.total > 100'}]}}]", true), ("{}", true),
    ])
    func eachDialectTakesWhatItSays(yaml: String, isMatch: Bool) throws {
        #expect(try self.outcome(yaml) == FilterOutcome(isMatch: isMatch))
    }

    @Test func anExpressionThatFailsTakesNoEventAndIsAnError() throws {
        #expect(try self.outcome("sql: \"missing = 'a'\"") == FilterOutcome(isMatch: false, error: .missingAttribute))
        #expect(try self.outcome("sql: \"type\"") == FilterOutcome(isMatch: false, error: .cast))
        #expect(try self.outcome("sql: \"data.total / 0 = 1\"") == FilterOutcome(isMatch: false, error: .math))
        // What it does not take, its opposite takes.
        #expect(
            try self.outcome("not: {sql: \"missing = 'a'\"}") == FilterOutcome(isMatch: true, error: .missingAttribute))
        // An error in one part does not spoil the others.
        #expect(
            try self.outcome("any: [{sql: \"missing = 'a'\"}, {sql: \"id = 1\"}]")
                == FilterOutcome(isMatch: true, error: .missingAttribute))
        #expect(
            try self.outcome("any: [{sql: \"missing = 'a'\"}, {prefix: {'data.total': '1'}}]")
                == FilterOutcome(isMatch: true, error: .missingAttribute))
    }

    @Test func filtersBeyondTheirBoundsAreNotCompiled() throws {
        func nots(_ count: Int) -> EventFilter {
            (0..<count).reduce(EventFilter.any([])) { inner, _ in .not(inner) }
        }
        #expect(SubscriptionFilter(nots(Limits.Filter.depth - 1)) != nil)
        #expect(SubscriptionFilter(nots(Limits.Filter.depth)) == nil)
        func references(_ count: Int) -> EventFilter {
            .any([.exact((0..<count).map { FilterCondition(.attribute("a\($0)"), "x") })])
        }
        #expect(SubscriptionFilter(references(Limits.Filter.references)) != nil)
        #expect(SubscriptionFilter(references(Limits.Filter.references + 1)) == nil)
        func parts(_ count: Int) -> EventFilter { .any((0..<count).map { _ in .exact([]) }) }
        #expect(SubscriptionFilter(parts(Limits.Filter.nodes - 1)) != nil)
        #expect(SubscriptionFilter(parts(Limits.Filter.nodes)) == nil)
        func pattern(_ count: Int) -> EventFilter {
            .sql("", .like(.text("a"), pattern: String(repeating: "_", count: count), isNegated: false))
        }
        #expect(SubscriptionFilter(pattern(Limits.Filter.patternCharacters)) != nil)
        #expect(SubscriptionFilter(pattern(Limits.Filter.patternCharacters + 1)) == nil)
    }
}
