internal import ApusSandbox
internal import Glibc

/// Calls of tools and pages of their list over MCP, from a server with many tools, beside a bare route of the same listener that parses
/// the same JSON and writes it back. Needs root and an installed tree.
///
/// The call that runs nothing is `describe_tool` of a server in search mode: authentication, rights, the check of its arguments, the
/// audit as durable as the state, and an answer from memory.
enum ToolsBench {
    private static let connections = 50
    /// How long the pool gets between two calls to make the sandbox that the first took: what is measured is a call that finds one.
    private static let refillMicroseconds: UInt32 = 8_000
    /// How long after its last deploy the server's memory is looked at: the log gives pages back once a second.
    private static let restMicroseconds: UInt32 = 3_000_000
    /// Calls whose client leaves.
    private static let cancelled = 20

    static func run(_ options: BenchOptions) throws -> BenchReport {
        let count = try options.number("count", default: 40_000)
        let trips = try options.number("trips", default: 2_000)
        let tools = try options.number("tools", default: 5_000)
        let tasks = try options.number("tasks", default: 8_000)
        let server = try HTTPBenchServer(directory: options.directory, functions: ToolsBenchFunctions(tools: tools))
        defer { server.close() }
        usleep(Self.restMicroseconds)
        let memory = try Self.residentMebibytes(of: server.process)
        let loads = Loads(server)
        let page = try loads.list.answer()
        let floor = try HTTPBenchFloor(page: page)
        defer { floor.close() }
        let bareCall = HTTPBenchLoad(port: floor.port, path: "/json", body: loads.builtinBody)
        let barePage = HTTPBenchLoad(port: floor.port, path: "/page", body: loads.listBody)
        for load in [bareCall, barePage, loads.builtin, loads.list, loads.warm] {
            _ = try load.run(connections: Self.connections, count: count / 10)
        }
        _ = try loads.fresh.run(connections: 1, count: trips / 10)

        var figures: [String: Figure] = [:]
        func add(_ name: String, _ unit: String, _ sample: Double, floor: Double? = nil) {
            figures[name, default: Figure(name, unit: unit)].add(sample, floor: floor)
        }
        for _ in 0..<options.rounds {
            let floorMany = try bareCall.run(connections: Self.connections, count: count)
            let many = try loads.builtin.run(connections: Self.connections, count: count)
            add("builtin.rate", "1/s", many.rate, floor: floorMany.rate)
            add("builtin.p99", "us", many.percentile(99), floor: floorMany.percentile(99))
            let floorPage = try barePage.run(connections: Self.connections, count: count / 4)
            let pages = try loads.list.run(connections: Self.connections, count: count / 4)
            add("list.rate", "1/s", pages.rate, floor: floorPage.rate)
            let one = try loads.builtin.run(connections: 1, count: trips).percentile(50)
            add("builtin.one_p50", "us", one, floor: try bareCall.run(connections: 1, count: trips).percentile(50))
            add("warm.added_p50", "us", try loads.warm.run(connections: 1, count: trips).percentile(50) - one)
            let fresh = try loads.fresh.run(connections: 1, count: trips / 4, pause: Self.refillMicroseconds)
            let paced = try loads.builtin.run(connections: 1, count: trips / 4, pause: Self.refillMicroseconds)
            add("fresh.added_p50", "us", fresh.percentile(50) - paced.percentile(50))
        }
        let stored = try ToolsBenchTasks(port: server.port, token: server.token, connections: Self.connections).store(tasks)
        for _ in 0..<options.rounds {
            add("task.get_p50", "us", try stored.get.run(connections: 1, count: trips).percentile(50))
            add("task.get_rate", "1/s", try stored.get.run(connections: Self.connections, count: count / 4).rate)
        }
        figures["cancel.gone"] = Figure(
            "cancel.gone", unit: "ms", samples: try ToolsBenchCancel(load: loads.slow).times(Self.cancelled))
        figures["task.rate"] = Figure("task.rate", unit: "1/s", samples: [stored.rate])
        figures["memory"] = Figure("memory", unit: "MiB", samples: [memory])
        let order = [
            "builtin.rate", "builtin.p99", "builtin.one_p50", "list.rate", "warm.added_p50", "fresh.added_p50", "cancel.gone",
            "task.rate", "task.get_p50", "task.get_rate", "memory",
        ]
        return BenchReport("tools", order.compactMap { figures[$0] })
    }

    /// The requests, one kind each.
    private struct Loads {
        let builtinBody: [UInt8]
        let listBody: [UInt8]
        let builtin: HTTPBenchLoad
        let list: HTTPBenchLoad
        let warm: HTTPBenchLoad
        let fresh: HTTPBenchLoad
        let slow: HTTPBenchLoad

        init(_ server: HTTPBenchServer) {
            func load(_ path: String, _ method: String, _ name: String?, _ body: [UInt8]) -> HTTPBenchLoad {
                var headers: [(name: String, value: String)] = [
                    ("Accept", "application/json, text/event-stream"), ("MCP-Protocol-Version", "2026-07-28"),
                    ("Mcp-Method", method),
                ]
                if let name { headers.append(("Mcp-Name", name)) }
                return HTTPBenchLoad(port: server.port, path: path, body: body, token: server.token, headers: headers)
            }
            func call(_ path: String, _ name: String, _ arguments: String) -> (body: [UInt8], load: HTTPBenchLoad) {
                let body = Loads.body("tools/call", #""name":"\#(name)","arguments":\#(arguments),"#)
                return (body, load(path, "tools/call", name, body))
            }
            (self.builtinBody, self.builtin) = call("/mcp/bench", "describe_tool", #"{"names":["get_item_7"]}"#)
            self.warm = call("/mcp", "warm", #"{"text":"how quick is an answer?"}"#).load
            self.fresh = call("/mcp", "fresh", #"{"text":"how quick is an answer?"}"#).load
            self.slow = call("/mcp", "slow", "{}").load
            self.listBody = Loads.body("tools/list", "")
            self.list = load("/mcp", "tools/list", nil, self.listBody)
        }

        private static func body(_ method: String, _ members: String) -> [UInt8] {
            Array(
                (#"{"jsonrpc":"2.0","id":1,"method":"\#(method)","params":{\#(members)"_meta":{"#
                    + #""io.modelcontextprotocol/protocolVersion":"2026-07-28","#
                    + #""io.modelcontextprotocol/clientCapabilities":{}}}}"#).utf8)
        }
    }

    private static func residentMebibytes(of process: pid_t) throws -> Double {
        let status = String(decoding: try BenchFiles.read("/proc/\(process)/status"), as: UTF8.self)
        guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmRSS:") }),
            let kibibytes = line.split(separator: " ").compactMap({ Double($0) }).first
        else { throw BenchFailure("/proc/\(process)/status says nothing of VmRSS") }
        return kibibytes / 1_024
    }
}
