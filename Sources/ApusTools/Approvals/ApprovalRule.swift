public import ApusManifest

/// Who is asked before a call of a tool begins: as the tool's manifest says, and the policy of the tool server that it is called on.
public struct ApprovalRule: Sendable, Equatable {
    public var by: ToolManifest.Approval.Approver

    /// - Parameter server: adds to what the tool demands, and takes nothing of it away.
    /// - Returns: nil when nobody is asked.
    public init?(_ tool: Tool, on server: ToolServer?) {
        let demands = [tool.approval, server?.approval].compactMap { $0 }.filter { $0.concerns(tool.annotations) }
        guard !demands.isEmpty else { return nil }
        self.by = demands.contains { $0.by == .approver } ? .approver : .caller
    }
}
