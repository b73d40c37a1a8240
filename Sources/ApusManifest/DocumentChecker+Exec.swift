internal import ApusCore

extension DocumentChecker {
    /// What a process for each event cannot do.
    mutating func checkExec(_ spec: Checked) {
        let concurrency = Int(spec["concurrency"]?.integer ?? 1)
        if concurrency > Limits.Manifest.execConcurrency {
            self.checker.fail(
                spec["concurrency"]?.location ?? spec.location,
                "`spec.concurrency` is \(concurrency), expected at most \(Limits.Manifest.execConcurrency) with the runtime exec: "
                    + "raise spec.scale.max instead")
        }
        // The worker itself is one, and each event's command is one at least.
        if let processes = spec["resources"]?["processes"], let count = processes.integer, count < concurrency + 1 {
            self.checker.fail(
                processes.location ?? spec["concurrency"]?.location ?? spec.location,
                "`\(processes.path)` is \(count), expected at least \(concurrency + 1) with the runtime exec: its worker and a process "
                    + "for each of the \(concurrency) events at a time")
        }
        if let batch = spec["batch"] {
            self.checker.fail(
                batch.location,
                "`spec.batch` is for handlers that take lists, expected none: exec runs a process for each event")
        }
        for trigger in spec["triggers"]?.list ?? [] {
            guard let table = trigger["table"], table.boolean == true else { continue }
            self.checker.fail(
                table.location,
                "`\(table.path)` is true, expected false: a process for each event cannot hold a table in memory")
        }
    }
}
