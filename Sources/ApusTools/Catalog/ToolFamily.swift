/// The tools of one name: its versions, sorted.
struct ToolFamily: Sendable {
    let name: ToolName
    private(set) var versions: [Tool]

    init(_ versions: [Tool]) {
        self.versions = versions.sorted { $0.version < $1.version }
        self.name = versions[0].name
    }

    /// What the name alone stands for in lists: the version that most calls go to, the newest of several. Nil when none is given any.
    var live: Tool? {
        self.versions.filter { $0.weight > 0 }.max { ($0.weight, $0.version) < ($1.weight, $1.version) }
    }

    /// The version that a call by name alone goes to.
    /// - Parameter draw: any number, evenly drawn: calls are shared out by the weights.
    func drawn(_ draw: UInt64) -> Tool? {
        if self.versions.count == 1 { return self.live }
        let total = self.versions.reduce(0) { $0 + UInt64($1.weight) }
        guard total > 0 else { return nil }
        var rest = draw % total
        for version in self.versions {
            if rest < UInt64(version.weight) { return version }
            rest -= UInt64(version.weight)
        }
        return self.live
    }
}
