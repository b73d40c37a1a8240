internal import ApusCore
internal import ApusCrypto
internal import ApusEngine
internal import ApusHost
internal import ApusLoop

/// One invocation of a function for a sink of this loop, on whichever shard runs the function.
struct ShardInvocation {
    let shards: [ShardRuntime]
    let runtime: ShardRuntime
    let entry: FunctionDirectory.Entry
    let id: InvocationID
    let deadline: Timestamp
    var answers: [UInt8] = []
    /// Who asks: see ``owner(of:in:)``. 0 is nobody.
    var owner: UInt64 = 0

    /// The number that stands for a principal where each has workers of its own.
    static func owner(of principal: String, in namespace: Namespace) -> UInt64 {
        SHA256.hash(Array("\(namespace.name)/\(principal)".utf8)).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// - Returns: what gives it up. Harmless once it is answered.
    func begin(_ block: [UInt8], sink: any ResponseSink) -> () -> Void {
        let target = self.shards[self.entry.shard]
        if target === self.runtime {
            let shard = self.runtime.shard
            let request = shard.invoke(
                self.entry.id, block: block, invocation: self.id, deadline: self.deadline, answers: self.answers,
                owner: self.owner, sink: sink)
            return { shard.abandon(request) }
        }
        let relay = RelayedSink(to: sink, on: self.runtime.loop)
        let remote = RemoteRequest()
        let (entry, id, deadline, answers, owner) = (self.entry, self.id, self.deadline, self.answers, self.owner)
        // SAFETY: both are used on the target's loop only from here on.
        nonisolated(unsafe) let (sent, handle) = (relay, remote)
        target.loop.post {
            handle.request = target.shard.invoke(
                entry.id, block: block, invocation: id, deadline: deadline, answers: answers, owner: owner,
                sink: sent)
        }
        return {
            nonisolated(unsafe) let handle = remote
            target.loop.post { if let request = handle.request { target.shard.abandon(request) } }
        }
    }

    /// A request that runs on another shard: known there a hop later.
    private final class RemoteRequest { var request: RequestID? }
}
