internal import ApusCore
internal import ApusLoop

extension Server {
    /// Keys of issuers are fetched on time. The first shard's loop looks.
    func watchIssuers() {
        guard !self.issuers.isEmpty else { return }
        let (runtime, issuers) = (self.shards[0], self.issuers)
        runtime.loop.runAndWait {
            let timer = LoopTimer(runtime.loop) { issuers.tick(now: runtime.now) }
            timer.start(milliseconds: 0, repeating: Limits.Access.keysTickMilliseconds)
            runtime.issuerTimer = timer
        }
    }
}
