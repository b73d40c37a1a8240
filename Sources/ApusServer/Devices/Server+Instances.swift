internal import ApusCore
internal import ApusEngine

extension Server {
    /// What became of instances on devices, in order: the accounts, the view of devices and the simulation of them are made of it.
    /// From any thread.
    func instancesChanged(_ changes: [InstanceChange]) {
        self.devices.changed(changes)
        self.accounts.record(changes)
    }
}
