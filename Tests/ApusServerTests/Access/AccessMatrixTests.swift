import ApusCore
import ApusHTTP
import ApusStore
import Testing

@testable import ApusServer

/// Every operation against every role, in the right namespace, in another, and in `*`.
@Suite(.timeLimit(.minutes(3))) struct AccessMatrixTests {
    private enum Right: Equatable {
        case open
        case anyone
        /// These roles in the namespace of the request, and `admin`.
        case namespace(Set<Role>)
        /// These roles in `*`, and `admin` there.
        case server(Set<Role>)
    }

    /// Written down here once more, apart from the table of operations: a right that is changed by mistake fails.
    private static let expected: [String: Right] = [
        "getHealth": .open, "logIn": .open,
        "getReadiness": .anyone, "getPrincipal": .anyone, "createLogin": .anyone, "logOut": .anyone,
        "getOpenAPI": .anyone,
        "getMetrics": .server([.reader]), "listInstances": .server([.reader]), "getDoctor": .server([.reader]),
        "takeBackup": .server([]), "sweep": .server([]),
        "listDevices": .server([.reader]), "getDeviceUsage": .server([.reader]), "drainDevice": .server([]),
        "clearDevice": .server([]),
        "getUsage": .namespace([.reader, .deployer]), "listTransitions": .namespace([.reader, .deployer]),
        "listSecrets": .namespace([.reader, .deployer]), "getSecret": .namespace([.reader, .deployer]),
        "setSecret": .namespace([.deployer]), "deleteSecret": .namespace([.deployer]), "rotateKey": .server([]),
        "searchAudit": .namespace([]), "verifyAudit": .server([]),
        "listAgents": .namespace([]), "createAgent": .namespace([]), "rotateAgent": .namespace([]),
        "revokeAgent": .namespace([]), "getAgent": .namespace([]), "putAgent": .namespace([]),
        "getProtectedResource": .open, "getProtectedResourceOfTools": .open,
        "getProtectedResourceOfServer": .open,
        "listTokens": .namespace([]), "createToken": .namespace([]), "revokeToken": .namespace([]),
        "storeBundle": .namespace([.deployer]), "deploy": .namespace([.deployer]),
        "publishEvents": .namespace([.producer]), "readEvents": .namespace([.reader, .deployer]),
        "listTopics": .namespace([.reader, .deployer]), "getTopic": .namespace([.reader, .deployer]),
        "putTopic": .namespace([.deployer]), "deleteTopic": .namespace([.deployer]),
        "listTools": .namespace([.caller, .reader, .deployer]),
        "listUpstreams": .namespace([.reader, .deployer]), "getUpstream": .namespace([.reader, .deployer]),
        "putUpstream": .namespace([.deployer]), "deleteUpstream": .namespace([.deployer]),
        "getTool": .namespace([.reader, .deployer]), "acceptTool": .namespace([.deployer]),
        "disableTool": .namespace([.deployer]), "enableTool": .namespace([.deployer]),
        "listToolServers": .namespace([.reader, .deployer]), "getToolServer": .namespace([.reader, .deployer]),
        "putToolServer": .namespace([.deployer]), "deleteToolServer": .namespace([.deployer]),
        "listFunctions": .namespace([.reader, .deployer]), "getFunction": .namespace([.reader, .deployer]),
        "putFunction": .namespace([.deployer]), "deleteFunction": .namespace([.deployer]),
        "listRevisions": .namespace([.reader, .deployer]), "readLogs": .namespace([.reader, .deployer]),
        "invokeFunction": .namespace([.caller]), "cancelInvocation": .namespace([.caller]),
        "listInvocations": .namespace([.caller, .reader, .deployer]),
        "getInvocation": .namespace([.caller, .reader, .deployer]),
        "getInvocationResult": .namespace([.caller, .reader, .deployer]),
        "listDeadLetters": .namespace([.reader, .deployer]), "getDeadLetter": .namespace([.reader, .deployer]),
        "getConsole": .open, "getConsoleFile": .open,
        "readEvent": .namespace([.reader, .deployer]), "allowWebhook": .namespace([.producer]),
        "listDeliveries": .namespace([.reader, .deployer]), "getDelivery": .namespace([.reader, .deployer]),
        "getStats": .namespace([.reader, .deployer]), "getCommand": .namespace([.reader, .deployer]),
        "listSchedules": .namespace([.reader, .deployer]),
        "pauseFunction": .namespace([.deployer]), "resumeFunction": .namespace([.deployer]),
        "rollbackFunction": .namespace([.deployer]), "warmFunction": .namespace([.deployer]),
        "redriveDeadLetters": .namespace([.deployer]), "listSubscriptions": .namespace([.reader, .deployer]),
        "createReplay": .namespace([.deployer]), "cancelReplay": .namespace([.deployer]),
        "listReplays": .namespace([.reader, .deployer]), "listAllReplays": .namespace([.reader, .deployer]),
        "getReplay": .namespace([.reader, .deployer]),
        "listApprovals": .namespace([.approver]), "getApproval": .namespace([.approver]),
        "acceptApproval": .namespace([.approver]), "declineApproval": .namespace([.approver]),
        "redriveDeadLetter": .namespace([.deployer]), "dropDeadLetter": .namespace([.deployer]),
    ]

    private static func mayCall(_ right: Right, _ role: Role, isRightPlace: Bool, isEverywhere: Bool) -> Bool {
        switch right {
        case .open, .anyone: true
        case .namespace(let roles): (role == .admin || roles.contains(role)) && (isRightPlace || isEverywhere)
        case .server(let roles): (role == .admin || roles.contains(role)) && isEverywhere
        }
    }

    private static func target(_ operation: Operation, in namespace: String) -> String {
        var path = operation.path
        while let open = path.firstIndex(of: "{"), let close = path.firstIndex(of: "}") {
            path.replaceSubrange(open...close, with: "nothing")
        }
        return operation.isNamespaced ? "/v1/namespaces/\(namespace)/" + path.dropFirst(4) : path
    }

    @Test func everyOperationAgainstEveryRole() throws {
        // What decides by the request itself has tests of its own.
        let operations = Routes.operations.filter { $0.access != .decidedByRequest }
        #expect(Set(operations.map(\.id)) == Set(Self.expected.keys), "each operation has its line in this table")
        let bed = try TokenBed()
        var held: [(role: Role, isEverywhere: Bool, token: String)] = []
        for role in Role.allCases {
            held.append((role, false, try bed.token("\(role)-team", ["\(role.rawValue)@team"])))
            held.append((role, true, try bed.token("\(role)-all", ["\(role.rawValue)@*"])))
        }
        let ended: [(String, String?)] = [
            ("none", nil), ("wrong", AccessToken.make().text), ("empty", ""),
            ("revoked", try bed.token("revoked", ["admin@*"], isRevoked: true)),
            ("expired", try bed.token("expired", ["admin@*"], expires: bed.now)),
        ]
        for operation in operations {
            let right = try #require(Self.expected[operation.id])
            let method = operation.method == "*" ? "GET" : operation.method
            func answer(_ token: String?, in namespace: String) throws -> HTTPResponse {
                try bed.ask(
                    method, Self.target(operation, in: namespace), token: token,
                    body: method == "POST" || method == "PUT" ? "" : nil)
            }
            for (what, token) in ended {
                let status = try answer(token, in: "team").status
                #expect((status == 401) == (right != .open), "\(operation.id), \(what): \(status)")
            }
            for (role, isEverywhere, token) in held {
                for (namespace, isRightPlace) in [("team", true), ("other", false)] {
                    let response = try answer(token, in: namespace)
                    let may = Self.mayCall(right, role, isRightPlace: isRightPlace, isEverywhere: isEverywhere)
                    let place = "\(operation.id), \(role)@\(isEverywhere ? "*" : "team") in \(namespace)"
                    #expect((response.status == 403) != may, "\(place): \(response.status)")
                    #expect(response.status != 401 && (may || ServerBed.problem(response) == "forbidden"), "\(place)")
                }
            }
        }
        bed.bed.server.stop()
    }

    @Test func aRefusalSaysWhichRoleIsMissingWhere() throws {
        let bed = try TokenBed()
        let token = try bed.token("shop", ["producer@team"])
        let refused = try bed.ask("GET", "/v1/namespaces/search/functions", token: token)
        let text = String(decoding: refused.body, as: UTF8.self)
        #expect(refused.status == 403 && text.contains("deployer@search or reader@search") && text.contains("'shop'"))
        let server = try bed.ask("GET", "/metrics", token: token)
        #expect(String(decoding: server.body, as: UTF8.self).contains("reader@*"))
        let none = try bed.ask("GET", "/v1/functions", token: nil)
        #expect(none.status == 401 && none.header("WWW-Authenticate") == "Bearer")
        // Where nothing is, nobody learns it without a token.
        #expect(try bed.ask("GET", "/nowhere", token: nil).status == 401)
        #expect(try bed.ask("GET", "/nowhere", token: token).status == 404)
        #expect(try bed.ask("GET", "/v1/namespaces/Not.One/functions", token: nil).status == 401)
        #expect(try bed.ask("GET", "/v1/namespaces/Not.One/functions", token: token).status == 400)
        bed.bed.server.stop()
    }

    @Test func aRefusedBodyIsNotWaitedFor() throws {
        let bed = try TokenBed()
        // The head announces more than is ever sent: only an answer on the head can come.
        let client = try #require(
            try? RawRequest(
                port: bed.bed.port, "POST /v1/bundles HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000000\r\n\r\n"))
        #expect(client.answer.hasPrefix("HTTP/1.1 401"))
        bed.bed.server.stop()
    }

    @Test func refusalsAreCounted() throws {
        let bed = try TokenBed()
        let token = try bed.token("shop", ["producer@team"])
        for _ in 0..<3 { _ = try bed.ask("GET", "/v1/functions", token: nil) }
        for _ in 0..<2 { _ = try bed.ask("GET", "/v1/functions", token: token) }
        let metrics = String(decoding: try bed.bed.ask("GET", "/metrics").body, as: UTF8.self)
        #expect(metrics.contains("\napus_http_unauthenticated_total 3\n"), "\(metrics)")
        #expect(metrics.contains("\napus_http_forbidden_total 2\n"))
        bed.bed.server.stop()
    }
}
