import ApusCore
import ApusJSON
import ApusTestSupport
import Testing

@testable import ApusManifest

@Suite struct FilterManifestTests {
    private func text(_ filter: String) -> String {
        """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: f}
        spec:
          runtime: python3
          handler: main:f
          triggers:
            - topic: a
              filter: \(filter)
        """
    }

    private func filter(_ text: String) throws -> EventFilter {
        guard case .function(let function)? = try Manifest.parse(self.text(text), file: "f.yaml").first else {
            return .none
        }
        return function.triggers[0].filter
    }

    @Test(arguments: [
        (
            "{sql: \"type = 'a\"}",
            "9:29: `spec.triggers[0].filter.sql` is no condition at character 8: this text has no closing '"
        ),
        (
            "{sql: type LIKE 5}",
            "9:31: `spec.triggers[0].filter.sql` is no condition at character 11: `5` stands where a pattern in quotes is expected"
        ),
        (
            "{sql: 'LENGHT(type) = 1'}",
            "9:22: `spec.triggers[0].filter.sql` is no condition: there is no function `LENGHT`, did you mean `LENGTH`?"
        ),
        ("{sql: LEFT(type) = 'a'}", "LEFT is called with 1 values, expected 2"),
        ("{sql: 1 + 2}", "it gives no Boolean, so that no event passes"),
        ("{sql: data = 1}", "`data` needs a path to a value within it"),
        ("{sql: 5}", "is `5`, expected a CESQL expression"),
        ("{prefix: {type: ''}}", "9:31: `spec.triggers[0].filter.prefix.type` is empty"),
        ("{any: []}", "`spec.triggers[0].filter.any` is a list, expected a list of 1 to 32 filters"),
        ("{all: {type: a}}", "`spec.triggers[0].filter.all` is a mapping, expected a list of 1 to 32 filters"),
        (
            "{all: [{any: [{not: {Type: a}}]}]}",
            "9:36: `spec.triggers[0].filter.all[0].any[0].not` has the name `Type`: expected the name of an attribute"
        ),
        (
            "{prefixes: {type: a}}",
            "`spec.triggers[0].filter.prefixes` is a mapping, expected text, a number or a Boolean"
        ),
        ("{data: a}", "`data` needs a path"), ("{'data.a[x]': a}", "stands where a number, or a name in quotes"),
        ("{exact: {specversion: 1.0}}", "always 1.0"), ("type", "expected a mapping of attributes to their texts"),
    ])
    func whatIsWrongIsToldWithItsPlace(filter: String, expected: String) {
        let found = errors(self.text(filter))
        #expect(found.count == 1, "\(found)")
        #expect(found.first?.contains(expected) == true, "\(found)")
    }

    @Test func anExpressionInABlockIsPlacedWhereItBegins() {
        let found = errors(self.text("\n        sql: |\n          type = 'a' AND\n          subject LIKE 5"))
        #expect(found.count == 1)
        #expect(
            found.first?.hasPrefix("f.yaml:10:14: `spec.triggers[0].filter.sql` is no condition at character 29: ")
                == true, "\(found)")
    }

    @Test(arguments: [
        "{type: a}", "{exact: {any: a}}", "{exact: {type: b, any: a}}", "{prefix: {source: /a}}",
        "{suffix: {'headers[\"x\"]': a}}", "{all: [{type: a}]}", "{any: [{type: a}, {not: {sql: \"EXISTS id\"}}]}",
        "{type: a, prefix: {source: /a}, sql: \"data.a[0]['b c'] = 1\"}", "{'data[\"a\\\"b\"].c[3]': x, key: k}", "{}",
    ])
    func theJSONFormSaysTheSame(filter: String) throws {
        let manifests = try Manifest.parse(self.text(filter), file: "f.yaml")
        let json = manifests[0].toJSON()
        let again = try Manifest(json: json)
        #expect(again == manifests[0])
        #expect(again.toJSON() == json)
        var evaluator = SchemaEvaluator(definitions: ManifestSchema.json["$defs"] ?? [:])
        #expect(try evaluator.mismatch(json, ManifestSchema.json) == nil)
    }

    @Test func theOrderOfAttributesMeansNothing() throws {
        #expect(try self.filter("{b: 1, a: 2}") == self.filter("{a: 2, b: 1}"))
    }

    @Test func filtersAreBounded() throws {
        func list(_ count: Int) -> String {
            "{any: [" + Array(repeating: "{type: a}", count: count).joined(separator: ", ") + "]}"
        }
        #expect(errors(self.text(list(Limits.Manifest.filterTerms))) == [])
        #expect(errors(self.text(list(Limits.Manifest.filterTerms + 1))).count == 1)
        func prefix(_ count: Int) -> String {
            "{prefix: {" + (0..<count).map { "a\($0): x" }.joined(separator: ", ") + "}}"
        }
        #expect(errors(self.text(prefix(Limits.Manifest.filterTerms))) == [])
        #expect(errors(self.text(prefix(Limits.Manifest.filterTerms + 1))).count == 1)
        let half = (0..<Limits.Filter.references / 2).map { "a\($0) = 1" }.joined(separator: " OR ")
        let rest = (0..<Limits.Filter.references / 2).map { "b\($0) = 1" }.joined(separator: " OR ")
        #expect(errors(self.text("{all: [{sql: \"\(half)\"}, {sql: \"\(rest)\"}]}")) == [])
        let found = errors(self.text("{all: [{sql: \"\(half)\"}, {sql: \"\(rest)\"}, {one: more}]}"))
        #expect(found.count == 1)
        #expect(found.first?.contains("65 different values") == true, "\(found)")
        let pattern = String(repeating: "_", count: Limits.Filter.patternCharacters)
        #expect(errors(self.text("{sql: \"type LIKE '\(pattern)'\"}")) == [])
        #expect(errors(self.text("{sql: \"type LIKE '\(pattern)_'\"}")).count == 1)
    }
}
