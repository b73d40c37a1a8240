internal import ApusCore
internal import ApusHost
internal import ApusLoop
internal import ApusTools

/// What a question to the search means: asked of a warm embedder for a moment, of a cold one never. Searching makes it warm for the next.
struct QuestionMeaning {
    typealias Meaning = (question: [Float], tools: ToolVectors)

    let embedder: ToolEmbedder
    let shards: [ShardRuntime]
    /// Where the question came in.
    let runtime: ShardRuntime
    let namespace: Namespace

    /// - Parameter completion: called once, on the runtime's loop, perhaps before this returns; nil where words must do.
    func find(_ question: String, _ completion: @escaping (Meaning?) -> Void) {
        guard let name = ToolEmbedder.name(in: self.namespace), let entry = self.runtime.directory[name],
            entry.isServedHere
        else { return completion(nil) }
        guard let tools = self.embedder.vectors(of: self.namespace) else {
            self.embedder.want(self.namespace)
            return completion(nil)
        }
        let target = self.shards[entry.shard]
        guard target !== self.runtime else {
            guard target.shard.warm(entry.id) else { return completion(nil) }
            return self.embed(question, entry, tools, completion)
        }
        let loop = self.runtime.loop
        // SAFETY: made and used on the runtime's loop; the other thread only carries it back.
        nonisolated(unsafe) let carried = (self, completion)
        target.loop.post {
            let isWarm = target.shard.warm(entry.id)
            loop.post {
                let (asked, completion) = carried
                guard isWarm else { return completion(nil) }
                asked.embed(question, entry, tools, completion)
            }
        }
    }

    /// The embedder is not stopped where it is slow, only not waited for: its next answers would be slower still.
    private func embed(
        _ question: String, _ entry: FunctionDirectory.Entry, _ tools: ToolVectors,
        _ completion: @escaping (Meaning?) -> Void
    ) {
        let id = self.runtime.invocationIDs.next()
        var timer: LoopTimer?
        let sink = Embedding { vector in
            timer?.close()
            timer = nil
            completion(vector.map { ($0, tools) })
        }
        let patience = LoopTimer(self.runtime.loop) { sink.end(nil) }
        timer = patience
        patience.start(milliseconds: Limits.ToolEndpoint.questionMilliseconds)
        _ = ShardInvocation(
            shards: self.shards, runtime: self.runtime, entry: entry, id: id,
            deadline: InvocationPreferences().deadline(now: self.runtime.now, timeout: entry.timeout)
        ).begin(Embedding.event(question, id: id), sink: sink)
    }
}
