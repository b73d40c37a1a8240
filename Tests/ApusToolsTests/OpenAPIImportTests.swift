import ApusCore
import ApusJSON
import ApusManifest
import ApusSchema
import ApusTools
import Testing

/// Descriptions of the shapes that public ones have, written for these tests.
@Suite struct OpenAPIImportTests {
    /// 3.0 in YAML, with integer keys, a circle, nullable values, Boolean bounds and keys in headers and queries.
    static let shop = """
        openapi: 3.0.3
        info: {title: Pet Shop, version: 1.0.0}
        servers: [{url: "https://{region}.pets.example.com/v2/", variables: {region: {default: eu}}}]
        security: [{key: []}]
        paths:
          /pets/{petId}:
            parameters: [{$ref: '#/components/parameters/PetId'}]
            get:
              operationId: getPetById
              summary: Find a pet.
              description: By its number.
              parameters:
                - {name: fields, in: query, explode: false, schema: {type: array, items: {type: string}}}
                - {name: Authorization, in: header, schema: {type: string}}
                - {name: X-Trace, in: header, schema: {type: string, nullable: true, enum: [a, b]}}
              responses: {200: {description: ok}}
            delete: {deprecated: true, security: [{query: []}], responses: {204: {description: gone}}}
          /pets:
            post:
              operationId: get pet/by id!
              security: []
              requestBody:
                required: true
                content:
                  application/xml: {schema: {type: object}}
                  application/json: {schema: {$ref: '#/components/schemas/Pet'}}
              responses: {201: {description: made}}
            put:
              operationId: upload
              requestBody: {content: {image/png: {schema: {type: string, format: binary}}}}
              responses: {201: {description: made}}
        components:
          parameters: {PetId: {name: petId, in: path, required: true, schema: {type: integer, minimum: 0, exclusiveMinimum: true}}}
          securitySchemes:
            key: {type: apiKey, in: header, name: X-Api-Key}
            query: {type: apiKey, in: query, name: api_key}
          schemas:
            Pet:
              type: object
              required: [id, name]
              properties:
                id: {type: integer, readOnly: true}
                name: {type: string, pattern: '^(?=x)', example: Rex}
                parent: {$ref: '#/components/schemas/Pet'}
                kind: {oneOf: [{type: string}, {$ref: '#/components/schemas/Kind'}], nullable: true}
                tags: {type: object, nullable: true, additionalProperties: {type: number, maximum: 5, exclusiveMaximum: false}}
            Kind: {type: object, discriminator: {propertyName: t}, properties: {t: {enum: [1, 2]}, pet: {$ref: '#/components/schemas/Pet'}}}
        """

    private func imported(_ text: String, server: String? = nil, prefix: String = "") throws -> OpenAPIImport {
        try OpenAPIImport(Array(text.utf8), file: "api.yaml", server: server, prefix: prefix)
    }

    private func file(_ path: String, of imported: OpenAPIImport) throws -> JSONValue {
        try JSONValue.parse(#require(imported.files.first { $0.path == path }?.bytes))
    }

    private func accepts(_ imported: OpenAPIImport, _ name: String, _ value: String) throws -> Bool {
        let schema = try CompiledSchema(
            parsing: #require(imported.files.first { $0.path == "\(name)/input.json" }?.bytes))
        return try JSONParser().parse(Array(value.utf8)) { schema.accepts($0) }
    }

    @Test func anOperationBecomesAToolWithItsRequest() throws {
        let shop = try self.imported(Self.shop)
        #expect(shop.tools == ["getPetById", "delete_pets_petId", "get_pet_by_id"])
        #expect(shop.documents.map(\.path) == ["pet-shop.yaml"])
        let manifest = try #require(shop.documents[0].manifests.first)
        #expect(manifest["metadata"]?["name"] == "get-pet-by-id")
        #expect(manifest["spec"]?["description"] == "Find a pet.\nBy its number.")
        #expect(manifest["spec"]?["runtime"] == "http")
        #expect(manifest["spec"]?["tool"]?["annotations"] == ["readOnly": true, "idempotent": true, "openWorld": true])
        #expect(
            manifest["spec"]?["sandbox"]?["network"] == [
                "allow": ["eu.pets.example.com:443"],
                "inject": [["to": "eu.pets.example.com:443", "secret": "PET_SHOP_KEY", "header": "X-Api-Key"]],
            ])
        #expect(
            try self.file("get-pet-by-id/operation.json", of: shop) == [
                "method": "GET", "url": "https://eu.pets.example.com/v2/pets/{petId}",
                "parameters": [
                    ["argument": "petId", "name": "petId", "in": "path", "style": "simple", "explode": false],
                    ["argument": "fields", "name": "fields", "in": "query", "style": "form", "explode": false],
                    ["argument": "X-Trace", "name": "X-Trace", "in": "header", "style": "simple", "explode": false],
                ],
            ])
        #expect(
            try self.file("get-pet-by-id/input.json", of: shop) == [
                "type": "object",
                "properties": [
                    "petId": ["type": "integer", "exclusiveMinimum": 0],
                    "fields": ["type": "array", "items": ["type": "string"]],
                    "X-Trace": ["type": ["string", "null"], "enum": ["a", "b", nil]],
                ], "required": ["petId"], "additionalProperties": false,
            ])
    }

    @Test func whatCannotBecomeAToolIsSaid() throws {
        let shop = try self.imported(Self.shop)
        #expect(
            shop.notes == [
                "PUT /pets: takes image/png, of which none can be made of arguments; JSON, forms and text can",
                "get_pet_by_id: left out the pattern ^(?=x), which looks ahead with `(?=…)`, which is not matched here; say it with "
                    + "`not`, `allOf` or a plain pattern (at character 2)",
            ])
        #expect(shop.secrets.map(\.name) == ["PET_SHOP_KEY", "PET_SHOP_QUERY"])
        // A key in the query is the one secret that the function gets itself.
        let delete = try #require(shop.documents[0].manifests.dropFirst().first)
        #expect(delete["spec"]?["secrets"] == ["PET_SHOP_QUERY"])
        #expect(delete["spec"]?["sandbox"]?["network"]?["inject"] == nil)
        #expect(delete["spec"]?["description"] == "Deprecated.")
        #expect(
            try self.file("delete-pets-pet-id/operation.json", of: shop)["secrets"]
                == [["secret": "PET_SHOP_QUERY", "in": "query", "name": "api_key"]])
    }

    /// Names that collide after what models do not take was replaced get numbers.
    @Test func namesAreDistinctAndSafe() throws {
        let paths = ["list items", "list/items", "list_items", String(repeating: "x", count: 90)].enumerated().map {
            "\"/p\($0)\": {\"get\": {\"operationId\": \"\($1)\", \"responses\": {}}}"
        }
        let text =
            "{\"openapi\": \"3.1.0\", \"info\": {\"title\": \"A\"}, \"paths\": {\(paths.joined(separator: ","))}}"
        let found = try self.imported(text, server: "http://localhost:8080", prefix: "my")
        #expect(found.tools.prefix(3) == ["my_list_items", "my_list_items_2", "my_list_items_3"])
        #expect(found.tools.allSatisfy { ToolName($0).text == $0 })
        #expect(Set(found.documents[0].manifests.compactMap { $0["metadata"]?["name"]?.string }).count == 4)
    }

    @Test func circlesStayCirclesAndNullIsLetIn() throws {
        let shop = try self.imported(Self.shop)
        let name = try #require(shop.documents[0].manifests.last?["metadata"]?["name"]?.string)
        #expect(name == "get-pet-by-id-2")
        #expect(
            try self.accepts(
                shop, name, #"{"body": {"name": "Rex", "parent": {"name": "Max", "kind": null, "tags": null}}}"#))
        #expect(
            try self.accepts(
                shop, name, #"{"body": {"name": "Rex", "kind": {"t": 1, "pet": {"name": "A"}}, "tags": {"a": 5}}}"#))
        #expect(try !self.accepts(shop, name, #"{"body": {"name": "Rex", "parent": {"name": 5}}}"#))
        #expect(try !self.accepts(shop, name, #"{"body": {"name": "Rex", "tags": {"a": 6}}}"#))
        #expect(try !self.accepts(shop, name, "{}"))
        let body = try self.file("\(name)/input.json", of: shop)["$defs"]?["Pet"]
        #expect(body?["required"] == ["name"])
        #expect(body?["properties"]?["name"]?["examples"] == ["Rex"])
    }

    @Test func threeOneIsTakenAsItIs() throws {
        let text = """
            openapi: 3.1.0
            info: {title: Búsqueda, version: "1"}
            servers: [{url: /relative}]
            paths:
              /search:
                get:
                  parameters:
                    - {name: "filter[name]", in: query, style: deepObject, schema: {type: [object, "null"], exclusiveMinimum: 3}}
                    - {name: q, in: query, content: {application/json: {schema: {const: 1}}}}
              /form:
                post:
                  requestBody: {content: {application/x-www-form-urlencoded: {schema: {type: object}}}}
            webhooks: {x: {post: {}}}
            """
        let found = try self.imported(text, server: "https://127.0.0.1:8443/base/")
        #expect(found.tools == ["get_search", "post_form"])
        let operation = try self.file("get-search/operation.json", of: found)
        #expect(operation["url"] == "https://127.0.0.1:8443/base/search")
        #expect(
            operation["parameters"] == [
                [
                    "argument": "filter_name", "name": "filter[name]", "in": "query", "style": "deepObject",
                    "explode": false,
                ],
                ["argument": "q", "name": "q", "in": "query", "json": true],
            ])
        #expect(
            try self.file("post-form/operation.json", of: found)["body"]?["contentType"]
                == "application/x-www-form-urlencoded")
        #expect(throws: ApusError.self) { try self.imported(text) }
    }

    @Test(arguments: [
        ("swagger: '2.0'\npaths: {}", "Swagger 2.0"), ("openapi: 3.0.0\npaths: {}", "no operation"),
        ("- a", "no field"),
        ("a: [", "not YAML"),
        (
            "openapi: 3.0.0\nservers: [{url: 'https://a.example'}]\npaths: {/a: {get: {parameters: [{$ref: 'other.yaml#/x'}]}}}",
            "leads out of the file"
        ),
        ("openapi: 3.0.0\nservers: [{url: 'https://a.example'}]\npaths: {'/a/{b}': {get: {}}}", "{b} in its path"),
    ])
    func isRefusedWithAReason(text: String, reason: String) {
        do throws(ApusError) {
            _ = try OpenAPIImport(Array(text.utf8), file: "api.yaml")
            Issue.record("imported")
        } catch {
            #expect(error.message.contains(reason), "\(error.message)")
        }
    }

    @Test func fiveHundredOperationsAreImported() throws {
        var text = "openapi: 3.0.0\ninfo: {title: Large}\nservers: [{url: 'https://api.example.com'}]\npaths:\n"
        for index in 0..<500 {
            text +=
                "  /things/\(index)/{id}:\n    get:\n      operationId: getThing\(index)\n      parameters:\n"
                + "        - {name: id, in: path, required: true, schema: {$ref: '#/components/schemas/S\(index)'}}\n"
        }
        text += "components:\n  schemas:\n"
        for index in 0..<500 {
            text +=
                "    S\(index): {type: object, properties: {next: {$ref: '#/components/schemas/S\((index + 1) % 8)'}}}\n"
        }
        let found = try self.imported(text)
        #expect(found.tools.count == 500 && found.notes.isEmpty)
        #expect(found.documents.map { $0.manifests.count } == Array(repeating: Limits.Import.toolsPerFile, count: 5))
    }

    @Test func boundsAreKept() throws {
        let long = String(repeating: " ", count: Limits.Import.textBytes)
        #expect(throws: ApusError.self) { try self.imported("openapi: 3.0.0\n" + long) }
        let deep =
            String(repeating: "{\"items\": ", count: Limits.Import.schemaDepth + 1) + "{}"
            + String(repeating: "}", count: Limits.Import.schemaDepth + 1)
        let text = """
            {"openapi": "3.1.0", "servers": [{"url": "https://a.example"}], "paths": {"/a": {"get": {}, "post": {"requestBody":
            {"content": {"application/json": {"schema": \(deep)}}}}}}}
            """
        let found = try self.imported(text)
        #expect(found.tools == ["get_a"])
        #expect(
            found.notes == ["POST /a: a schema has more than \(Limits.Import.schemaDepth) parts inside one another"])
    }

    @Test func operationsReferencesAndSchemasAreBounded() throws {
        func many(_ count: Int) -> String {
            let paths = (0..<count).map { "\"/p\($0)\": {\"get\": {}}" }.joined(separator: ",")
            return "{\"openapi\": \"3.1.0\", \"servers\": [{\"url\": \"https://a.example\"}], \"paths\": {\(paths)}}"
        }
        #expect(try self.imported(many(Limits.Import.operations)).tools.count == Limits.Import.operations)
        #expect(throws: ApusError.self) { try self.imported(many(Limits.Import.operations + 1)) }

        /// A path whose one parameter is found at the end of a chain, and one whose schema has a long text.
        func chained(_ links: Int, _ text: Int) -> String {
            let chain = (1..<links).map { "\"c\($0)\": {\"$ref\": \"#/components/parameters/c\($0 + 1)\"}," }.joined()
            let values = (0..<text).map { "\"\($0)\"" }.joined(separator: ",")
            return """
                {"openapi": "3.1.0", "servers": [{"url": "https://a.example"}], "paths": {"/a": {"get": {}, "post":
                {"parameters": [{"$ref": "#/components/parameters/c1"}]}}}, "components": {"parameters": {\(chain)
                "c\(links)": {"name": "q", "in": "query", "schema": {"enum": [\(values)]}}}}}
                """
        }
        let most = Limits.Import.references
        #expect(try self.imported(chained(most - 1, 3)).tools == ["get_a", "post_a"])
        #expect(try self.imported(chained(most, 3)).notes.count == 1)
        let large = try self.imported(chained(1, 20_000))
        #expect(large.tools == ["get_a"] && large.notes[0].contains("more than \(Limits.Import.schemaBytes)"))
    }

    @Test func longDescriptionsAreShortened() throws {
        let text = """
            {"openapi": "3.1.0", "servers": [{"url": "https://a.example"}], "paths": {"/a": {"get": {"description":
            "\(String(repeating: "x", count: Limits.Import.descriptionCharacters + 1))"}}}}
            """
        let description = try self.imported(text).documents[0].manifests[0]["spec"]?["description"]?.string
        #expect(description?.unicodeScalars.count == Limits.Import.descriptionCharacters)
        #expect(description?.hasSuffix("…") == true)
    }
}
