import ApusCore
import ApusHTTP
@testable import ApusManifest
import Testing

@testable import ApusServer

@Suite struct HTTPTriggerTableTests {
    private func table(_ triggers: [(String, String, [String], Bool)], _ namespace: String = "default") throws
        -> HTTPTriggerTable
    {
        var table = HTTPTriggerTable()
        for (function, path, methods, isPublic) in triggers {
            let trigger = HTTPTriggerManifest(
                name: "t", path: try HTTPPathPattern(parsing: path), methods: methods,
                authentication: isPublic ? .public : .required)
            let name = try #require(Namespace(namespace).flatMap { ResourceName($0, function) })
            table.add(trigger, of: name)
        }
        return table
    }

    /// Which function a request reaches, with its method and parameters; else why none.
    private func found(_ table: HTTPTriggerTable, _ method: String, _ path: String) throws -> String {
        guard let target = HTTPTriggerTable.Target(try RequestPath(parsing: path)) else { return "no target" }
        switch table.match(method: method, target) {
        case .found(let trigger, let parameters):
            let values = parameters.all.map { "\($0.name)=\($0.value)" }.joined(separator: ",")
            return "\(trigger.function) \(trigger.method) \(values)"
        case .methodNotAllowed(let methods): return methods.joined(separator: ",")
        case .notFound: return "none"
        }
    }

    @Test func theMostSpecificPatternAnswers() throws {
        let table = try self.table([
            ("rest", "/a/{path...}", ["POST"], false), ("one", "/a/{id}", ["POST"], false),
            ("fixed", "/a/b", ["POST"], false),
            ("root", "/", ["GET"], false),
        ])
        #expect(try self.found(table, "POST", "/fn/a/b") == "fixed POST ")
        #expect(try self.found(table, "POST", "/fn/a/c%20d") == "one POST id=c d")
        #expect(try self.found(table, "POST", "/fn/a/c/d") == "rest POST path=c/d")
        #expect(try self.found(table, "POST", "/fn/a") == "rest POST path=")
        #expect(try self.found(table, "GET", "/fn") == "root GET ")
        #expect(try self.found(table, "GET", "/fn/") == "root GET ")
        #expect(try self.found(table, "GET", "/fn/none") == "none")
        #expect(try self.found(table, "GET", "/other") == "no target")
    }

    @Test func aHeadIsAGetUnlessItIsNamed() throws {
        let table = try self.table([("a", "/a", ["GET"], false), ("b", "/b", ["GET", "HEAD"], false)])
        #expect(try self.found(table, "HEAD", "/fn/a") == "a GET ")
        #expect(try self.found(table, "HEAD", "/fn/b") == "b HEAD ")
        #expect(try self.found(table, "POST", "/fn/a") == "GET,HEAD")
    }

    @Test func eachNamespaceHasItsOwn() throws {
        let table = try self.table([("a", "/a", ["GET"], true)], "team")
        #expect(try self.found(table, "GET", "/v1/namespaces/team/fn/a") == "team/a GET ")
        #expect(try self.found(table, "GET", "/v1/namespaces/other/fn/a") == "none")
        #expect(try self.found(table, "GET", "/fn/a") == "none")
        #expect(try self.found(table, "GET", "/v1/namespaces/team/functions/a") == "no target")
    }

    @Test func onlyRequestsOfPublicTriggersAreOpen() throws {
        let table = try self.table([
            ("open", "/open/{id}", ["POST"], true), ("closed", "/open/admin", ["POST"], false),
            ("other", "/open/{id}", ["DELETE"], false),
        ])
        func isOpen(_ method: String, _ path: String) -> Bool { table.isOpen(method: method, rawPath: path) }
        #expect(isOpen("POST", "/fn/open/7"))
        #expect(!isOpen("POST", "/fn/open/admin") && !isOpen("POST", "/fn/open/%61dmin"))
        #expect(!isOpen("DELETE", "/fn/open/7") && !isOpen("GET", "/fn/open/7") && !isOpen("OPTIONS", "/fn/open/7"))
        for path in [
            "/fn/open/7/8", "/fn/open", "/fn/open/..", "/fn/open/%00", "/v1/functions/open/invoke", "/fn//open/7",
            "/fnopen/7",
        ] {
            #expect(!isOpen("POST", path), "\(path)")
        }
        #expect(isOpen("POST", "/v1/namespaces/default/fn/open/7"))
    }
}
