/// Of a function whose calls may share a sandbox: how its zygote is made, a process that loads the function once and forks a
/// process for each call.
public struct ForkOrder: Sendable, Hashable {
    public var function: ResourceName
    public var revision: String
    /// Calls, ready or running, that one sandbox holds at most.
    public var children: Int
    /// The payload of the zygote's INIT.
    public var initialization: [UInt8]

    public init(function: ResourceName, revision: String, children: Int, initialization: [UInt8]) {
        self.function = function
        self.revision = revision
        self.children = children
        self.initialization = initialization
    }
}

extension LaunchOrder {
    /// Runs one call in a sandbox of its own.
    public var alone: LaunchOrder {
        var order = self
        order.fork = nil
        return order
    }

    /// The zygote's own sandbox. What a manifest gives a call, it has for each call that it may hold; memory and processes once
    /// more, for the zygote.
    public func zygote(_ fork: ForkOrder) -> LaunchOrder {
        var order = self.alone
        let children = UInt32(clamping: fork.children)
        order.runtime = .forks
        order.isClone = false
        order.bounds.memoryBytes *= UInt64(children) + 1
        order.bounds.processes = self.bounds.processes.multiplied(by: children + 1, atMost: SandboxBounds.processesMax)
        order.bounds.cpuMillis = self.bounds.cpuMillis.multiplied(by: children, atMost: SandboxBounds.cpuMillisMax)
        order.bounds.scratchBytes *= UInt64(children)
        return order
    }
}

extension UInt32 {
    fileprivate func multiplied(by factor: UInt32, atMost bound: UInt32) -> UInt32 {
        let (product, isOver) = self.multipliedReportingOverflow(by: factor)
        return isOver ? bound : Swift.min(product, bound)
    }
}
