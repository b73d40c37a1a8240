import ApusSchema
import Testing

@Suite struct SchemaDialectTests {
    @Test(arguments: [
        ("https://json-schema.org/draft/2020-12/schema", SchemaDialect.draft202012),
        ("http://json-schema.org/draft-07/schema#", .draft07),
        ("http://json-schema.org/draft-07/schema", .draft07),
    ])
    func isKnownByItsURI(uri: String, dialect: SchemaDialect) { #expect(SchemaDialect(uri: uri) == dialect) }

    @Test(arguments: ["", "#", "http://json-schema.org/draft-04/schema#", "https://json-schema.org/draft-07/schema"])
    func isNoOther(uri: String) { #expect(SchemaDialect(uri: uri) == nil) }
}
