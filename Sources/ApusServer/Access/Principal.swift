internal import ApusCore

/// Whoever is authenticated.
struct Principal: Sendable, Equatable {
    /// As control records, logs and states of invocations name it.
    var name: String

    /// Whoever holds the admin token of the data directory.
    static let administrator = Principal(name: "admin")
}
