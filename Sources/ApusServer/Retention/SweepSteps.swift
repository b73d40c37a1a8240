internal import ApusCore
internal import ApusStore
internal import Synchronization

/// The steps of a server's sweep. Marks are taken and removals decided between two control writes, so that nothing that is about to
/// be deployed is removed.
final class SweepSteps: SweepPerforming {
    private unowned let server: Server
    /// Bytes of layers, which never change, so that each is measured once.
    private let layerBytes = Mutex<[String: Int64]>([:])

    init(server: Server) { self.server = server }

    private var retention: RetentionConfiguration { self.server.configuration.retention }

    func perform(_ kind: SweepKind, isDryRun: Bool, now: Timestamp) throws(ApusError) -> SweepStep {
        switch kind {
        case .bundles: try self.bundles(isDryRun, now)
        case .logBundles: try self.logBundles(isDryRun, now)
        case .layers: try self.layers(isDryRun, now)
        case .weights: try self.weights(isDryRun, now)
        case .uploads: try self.uploads(isDryRun, now)
        case .deadLetters: try self.deadLetters(isDryRun)
        case .fates: try self.fates(isDryRun)
        case .logs: try self.logs(isDryRun, now)
        case .invocations: try self.invocations(isDryRun, now)
        case .usage: try self.usage(isDryRun, now)
        case .approvals: try self.server.approvals.sweep(isDryRun: isDryRun)
        case .audit:
            try AuditSweep(server: self.server).step(
                before: now + TimeSpan(microseconds: -self.retention.audit.microseconds), isDryRun: isDryRun, now: now)
        }
    }

    // MARK: folders

    private func bundles(_ isDryRun: Bool, _ now: Timestamp) throws(ApusError) -> SweepStep {
        let (bundles, usage, grace) = (self.server.bundles.kept, self.server.usage, self.retention.bundlesUnused)
        let sweep = FolderSweep(bundles, grace: grace, isDryRun: isDryRun, now: now)
        let retired = try self.server.control.exclusively { (catalogue) throws(ApusError) in
            let used = catalogue.bundlesInUse
            return try sweep.retire { used.contains($0) || usage.needsBundle($0) }
        }
        return try sweep.remove(retired)
    }

    private func logBundles(_ isDryRun: Bool, _ now: Timestamp) throws(ApusError) -> SweepStep {
        guard let topic = self.server.bundleTopic else { return SweepStep() }
        // Another server may deploy one that this one takes for unused: its record is made young before.
        let grace = max(self.retention.bundlesUnused, .seconds(2 * Limits.Server.bundleRenewSeconds))
        let usage = self.server.usage
        return try topic.sweep(
            self.server.control, before: now + TimeSpan(microseconds: -grace.microseconds), isDryRun: isDryRun
        ) { usage.needsBundle($0) }
    }

    /// - Parameter room: bytes that are to have room under the quota.
    func weights(_ isDryRun: Bool, _ now: Timestamp, room: Int64 = 0) throws(ApusError) -> SweepStep {
        let (folder, usage) = (self.server.weights.folder, self.server.usage)
        var sizes: [String: Int64] = [:]
        for name in try folder.kept.names() { sizes[name] = folder.fetched(name) }
        var sweep = FolderSweep(folder.kept, grace: self.retention.weightsUnused, isDryRun: isDryRun, now: now)
        sweep.sizes = sizes
        sweep.quota = self.retention.weightsBytes - room
        let retired = try self.server.control.exclusively { [sweep] (catalogue) throws(ApusError) in
            let (used, sets) = (catalogue.weightsInUse, catalogue.weightSetsInUse)
            let retired = try sweep.retire { used.contains($0) || usage.mayNeedLayers }
            // A set that lost a file is no more, and one that nobody names would keep its files from the disk.
            if !isDryRun, !retired.names.isEmpty { try folder.removeSets { sets.contains($0) } }
            return retired
        }
        return try sweep.remove(retired)
    }

    private func layers(_ isDryRun: Bool, _ now: Timestamp) throws(ApusError) -> SweepStep {
        let layers = KeptFolders(folder: "\(self.server.configuration.dataDirectory)/layers")
        let sizes = try self.sizes(layers)
        let usage = self.server.usage
        var sweep = FolderSweep(layers, grace: self.retention.layersUnused, isDryRun: isDryRun, now: now)
        sweep.sizes = sizes
        sweep.quota = self.retention.layersBytes
        let retired = try self.server.control.exclusively { [sweep] (catalogue) throws(ApusError) in
            let used = catalogue.layersInUse
            return try sweep.retire { used.contains($0) || usage.mayNeedLayers }
        }
        return try sweep.remove(retired)
    }

    private func sizes(_ layers: KeptFolders) throws(ApusError) -> [String: Int64] {
        var sizes: [String: Int64] = [:]
        let known = self.layerBytes.withLock { $0 }
        for name in try layers.names() {
            if let bytes = known[name] { sizes[name] = bytes } else { sizes[name] = try layers.bytes(name) }
        }
        self.layerBytes.withLock { [sizes] in $0 = sizes }
        return sizes
    }

    private func uploads(_ isDryRun: Bool, _ now: Timestamp) throws(ApusError) -> SweepStep {
        var step = SweepStep()
        for folder in [
            self.server.bundles.kept, KeptFolders(folder: "\(self.server.configuration.dataDirectory)/layers"),
            self.server.weights.folder.kept,
        ] {
            for name in try folder.leftovers(before: now + .seconds(-Limits.Server.leftoverSeconds)) {
                guard step.removed < Limits.Server.sweepFolders else {
                    step.hasMore = true
                    return step
                }
                step.removed += 1
                if !isDryRun { try folder.remove(name) }
            }
        }
        return step
    }

    // MARK: rows

    private func logs(_ isDryRun: Bool, _ now: Timestamp) throws(ApusError) -> SweepStep {
        let cutoff = now + TimeSpan(microseconds: -self.retention.logsTime.microseconds)
        let limit = Limits.Server.sweepRows
        return try self.server.projection.queryAndWait { (projection) throws(ApusError) in
            let removed = try projection.removeLogs(before: cutoff, limit: limit, isDryRun: isDryRun)
            return SweepStep(removed: removed, kept: try projection.count(.logs), hasMore: removed == limit)
        }
    }

    private func usage(_ isDryRun: Bool, _ now: Timestamp) throws(ApusError) -> SweepStep {
        let cutoff = now + TimeSpan(microseconds: -self.retention.usage.microseconds)
        let hours = now + .seconds(-Limits.Server.usageMinutesSeconds)
        let limit = Limits.Server.sweepRows
        return try self.server.projection.queryAndWait { (projection) throws(ApusError) in
            let removed = try projection.removeUsage(
                before: cutoff, hoursBefore: hours, limit: limit, isDryRun: isDryRun)
            return SweepStep(removed: removed, kept: try projection.count(.usage), hasMore: removed >= limit)
        }
    }

    private func deadLetters(_ isDryRun: Bool) throws(ApusError) -> SweepStep {
        let log = self.server.log
        let limit = Limits.Server.sweepRows
        return try self.server.projection.queryAndWait { (projection) throws(ApusError) in
            var step = SweepStep()
            for partition in try projection.deadLetterPartitions() {
                let start = Self.start(of: partition, log)
                let due = try projection.countDeadLetters(partition, before: start)
                if isDryRun {
                    step.removed += due
                } else if due > 0 {
                    step.removed += try projection.expireDeadLetters(
                        partition, before: start, limit: limit - step.removed)
                }
                guard step.removed < limit else { break }
            }
            step.hasMore = step.removed >= limit
            step.kept = try projection.count(.deadLetters)
            return step
        }
    }

    private func invocations(_ isDryRun: Bool, _ now: Timestamp) throws(ApusError) -> SweepStep {
        let cutoff = now + TimeSpan(microseconds: -self.retention.invocations.microseconds)
        let sweep = InvocationSweep(server: self.server)
        return try self.server.projection.queryAndWait { (projection) throws(ApusError) in
            let removed = isDryRun ? try sweep.due(endedBefore: cutoff).count : try sweep.step(endedBefore: cutoff)
            return SweepStep(
                removed: removed, kept: try projection.count(.invocations),
                hasMore: removed == Limits.Invocations.statesPerSweep)
        }
    }

    /// A fate is forgotten on the control topic, since the projection is made of that.
    private func fates(_ isDryRun: Bool) throws(ApusError) -> SweepStep {
        let log = self.server.log
        let limit = Limits.Server.sweepFates
        let (due, kept, hasMore) = try self.server.projection.queryAndWait {
            (projection) throws(ApusError) -> ([ForgottenFate], Int, Bool) in
            let orphans = try projection.orphanedFates(after: "", limit: limit)
            let due = orphans.filter { Self.isGone($0.id, projection, log) }
            return (due, try projection.count(.fates), orphans.count == limit && !due.isEmpty)
        }
        if !isDryRun, !due.isEmpty { _ = try self.server.control.perform(.forgetFates(due)).get() }
        return SweepStep(removed: due.count, kept: isDryRun ? kept : kept - due.count, hasMore: hasMore)
    }

    /// Whether no record of the log can be the dead letter any more. One that the projection has not come to yet is not gone.
    private static func isGone(_ id: DeadLetterID, _ projection: Projection, _ log: any EventLog) -> Bool {
        if id.logIdentity == log.identity {
            return id.offset < Self.start(of: TopicPartition(id.topic, id.partition), log)
        }
        // Out of a backup: only the record itself knows its old id, so that all of the topic must have been seen.
        guard let topic = log.topic(id.topic) else { return true }
        return (0..<topic.partitions).allSatisfy { number in
            let place = TopicPartition(id.topic, number)
            guard let bounds = try? log.bounds(of: place) else { return false }
            return bounds.end == bounds.start || projection.position(of: place) >= bounds.end
        }
    }

    /// The first offset that may be there; beyond every offset for a topic that is gone.
    private static func start(of place: TopicPartition, _ log: any EventLog) -> Offset {
        guard let topic = log.topic(place.topic), place.partition < topic.partitions else { return .max }
        // Deleted since it was looked at: the next sweep sees that.
        return (try? log.bounds(of: place))?.start ?? 0
    }
}
