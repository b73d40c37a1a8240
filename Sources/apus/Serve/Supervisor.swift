internal import CShims

/// The supervisor that started this process, where it wants to hear of it: systemd's `Type=notify`.
struct Supervisor {
    /// The address of its datagram socket; nil without one.
    let address: String?

    init(_ environment: [String: String]) { self.address = environment["NOTIFY_SOCKET"] }

    /// - Returns: whether it was told; true too when there is nobody to tell.
    @discardableResult
    func tell(_ lines: String...) -> Bool {
        guard let address = self.address else { return true }
        return apus_notify(address, lines.joined(separator: "\n")) == 0
    }
}
