internal import ApusCore
internal import ApusJSON
internal import ApusLoop
internal import ApusStore
internal import ApusTools

/// What becomes of the tasks that one stream listens to.
struct TaskNews {
    /// Those that are its caller's.
    let names: [String]
    private let ids: [InvocationID]
    private let watch = InvocationWatch()

    /// - Throws: for a client that does not say that it knows tasks.
    static func wanted(_ endpoint: ToolEndpoint, _ request: ToolRequest, _ notifications: JSONSlices.Value)
        throws(RPCError) -> TaskNews
    {
        guard let list = request.envelope.member("taskIds", of: notifications), list.kind == .array else {
            return TaskNews(names: [], ids: [])
        }
        guard request.capabilities.contains(.tasks) else { throw .missing(.tasks) }
        var names: [String] = []
        request.envelope.body.withUnsafeBytes { text in
            JSONSlices.forEachElement(of: list, in: text) {
                if let name = JSONSlices.text(of: $0, in: text), !names.contains(name) { names.append(name) }
            }
        }
        let known = names.prefix(Limits.ToolEndpoint.taskSubscriptions).compactMap { name in
            endpoint.registry.tasks.invocation(name, of: request.caller.name, in: request.place.namespace).map {
                (name: name, id: $0)
            }
        }
        return TaskNews(names: known.map(\.name), ids: known.map(\.id))
    }

    private init(names: [String], ids: [InvocationID]) {
        self.names = names
        self.ids = ids
    }

    /// Tells how far each is, and each time that it comes further, until its end.
    /// - Parameter tell: called on the loop of the endpoint.
    func follow(_ endpoint: ToolEndpoint, _ request: ToolRequest, _ tell: @escaping (TaskReport) -> Void) {
        let (server, loop, watch) = (endpoint.server, endpoint.runtime.loop, self.watch)
        let until = endpoint.runtime.now + .seconds(Limits.ToolEndpoint.taskFollowSeconds)
        // SAFETY: used on that loop only, inside `post`.
        nonisolated(unsafe) let say = tell
        for id in self.ids {
            InvocationLookup(server: server, id: id, namespace: request.place.namespace, until: until).follow(watch) {
                // What cannot be followed any more can still be asked for.
                guard case .success(let state) = ToolEndpoint.state($0, server) else { return }
                loop.post { if !watch.isOver { say(endpoint.report(state, request)) } }
            }
        }
    }

    func end() { self.watch.end() }
}
