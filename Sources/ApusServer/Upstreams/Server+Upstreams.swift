internal import ApusCore
internal import ApusHost

extension Server {
    /// Runs the function that speaks with an upstream, for nobody in particular. On the loop of the runtime.
    /// - Returns: why it cannot be run.
    func askUpstream(
        _ runtime: ShardRuntime, _ function: ResourceName, _ data: [UInt8], _ sink: any ResponseSink
    ) -> ApusError? {
        guard let entry = runtime.directory[function] else {
            return ApusError(.functionNotFound, "its function '\(function)' is not deployed")
        }
        if entry.isPaused { return function.isPausedError }
        let event = ToolEvent(
            kind: .tool, identity: runtime.invocationIDs.next().description, subject: "tools/list", capabilities: "",
            caller: "", traceparent: nil)
        let deadline = InvocationPreferences().deadline(now: runtime.now, timeout: entry.timeout)
        _ = ShardInvocation(
            shards: self.shards, runtime: runtime, entry: entry, id: runtime.invocationIDs.next(), deadline: deadline
        ).begin(event.block(data[...]), sink: sink)
        return nil
    }
}
