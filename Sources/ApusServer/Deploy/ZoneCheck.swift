internal import ApusCore
internal import ApusManifest

/// Checks at a deploy that this server knows the time zones of the schedules.
extension TimeZones {
    /// - Throws: `manifest_invalid`, a line for each that is unknown.
    func check(_ function: FunctionManifest) throws(ApusError) {
        var problems: [String] = []
        for trigger in function.scheduleTriggers {
            do throws(ApusError) { _ = try self.zone(trigger.zone) } catch {
                problems.append("function '\(function.name)', trigger '\(trigger.name)': \(error.message)")
            }
        }
        guard problems.isEmpty else { throw ApusError(.manifestInvalid, problems.joined(separator: "\n")) }
    }
}
