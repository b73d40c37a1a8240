import ApusTestSupport
import Glibc
import Testing

/// The runtime http: what an API's description becomes when it is imported, deployed and called.
extension EgressTests {
    private func description(_ secure: Int) -> String {
        """
        openapi: 3.0.3
        info: {title: Things, version: 1.0.0}
        servers: [{url: "https://localhost:\(secure)/v1"}]
        security: [{key: []}]
        paths:
          /things/{id}:
            post:
              operationId: addThing
              summary: Adds a thing.
              parameters:
                - {name: id, in: path, required: true, schema: {type: string}}
                - {name: tags, in: query, schema: {type: array, items: {type: string}}}
              requestBody: {required: true, content: {application/json: {schema: {type: object, nullable: true}}}}
              responses: {200: {description: added}}
        components: {securitySchemes: {key: {type: http, scheme: bearer}}}

        """
    }

    @Test func anImportedOperationIsCalledThroughTheWayOut() throws {
        let (server, peer, _, secure) = try self.start()
        defer { peer.signal(SIGKILL) }
        let secret = "s3cret-\(UInt64.random(in: 0 ... .max))"
        try writeFile("\(server.folder)/openapi.yaml", self.description(secure))
        let folder = "\(server.folder)/things"
        let imported = server.apus("tools", "import", "\(server.folder)/openapi.yaml", "--out", folder)
        #expect(imported.status == 0 && imported.output.contains("apus secret set THINGS_KEY"), "\(imported)")
        #expect(server.apus(arguments: ["secret", "set", "THINGS_KEY"], input: secret).status == 0)
        server.deploy(folder)

        let result = server.apus(
            "invoke", "add-thing", "--data", #"{"id": "a b/c", "tags": ["x", "y&z"], "body": {"n": 1}}"#)
        let seen = (result.output + result.errors).filter { $0 != " " && $0 != "\n" }
        #expect(seen.contains(#""path":"/v1/things/a%20b%2Fc?tags=x&tags=y%26z""#), "\(seen)")
        #expect(seen.contains(#""auth":\#("Bearer ".utf8.count + secret.utf8.count),"kind":"Bearer""#), "\(seen)")
        #expect(seen.contains(#""body":"{\"n\":1}""#), "\(seen)")

        let wrong = server.apus("invoke", "add-thing", "--data", #"{"id": "..", "body": {}}"#)
        #expect((wrong.output + wrong.errors).contains("the argument 'id' may not be '..'"), "\(wrong)")
        #expect(!server.log.contains(secret))
        // A second import does not write over what was looked over.
        #expect(server.apus("tools", "import", "\(server.folder)/openapi.yaml", "--out", folder).status == 1)
    }
}
