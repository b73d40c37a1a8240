internal import ApusStore

extension ShardRuntime {
    /// Takes who may do what from now on, and lets open streams know.
    func apply(_ principals: PrincipalDirectory) {
        self.principals = principals
        self.rightsChanged()
    }

    /// Whom a stream's token stands for now, where that is another than when it began.
    func changed(_ admission: Admission?) -> Principal? {
        guard let admission, case .token(let hash) = admission.credential,
            case .holds(let principal) = self.principals.find(hash, now: self.now), principal != admission.principal
        else { return nil }
        return principal
    }
}

extension Principal {
    /// Whether an agent may use this tool server; nil is the whole namespace.
    func reaches(_ server: String?) -> Bool {
        guard let servers = self.agent?.servers, !servers.isEmpty else { return true }
        return servers.contains(server ?? "")
    }
}
