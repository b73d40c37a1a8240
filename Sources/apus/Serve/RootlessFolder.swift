internal import ApusCore

/// Where the data of a server without root lies, unless it is told.
enum RootlessFolder {
    /// Root's, which an ordinary user cannot have.
    static let root = "/var/lib/apus"

    /// `$XDG_STATE_HOME/apus`, else `~/.local/state/apus`.
    /// - Throws: `configuration_invalid` without a home.
    static func standard(_ environment: [String: String]) throws(ApusError) -> String {
        guard let folder = Self.find(environment) else {
            throw ApusError(.configurationInvalid, "`data`: there is no HOME to keep it in: give a folder with --data")
        }
        return folder
    }

    static func find(_ environment: [String: String]) -> String? {
        if let state = environment["XDG_STATE_HOME"], state.hasPrefix("/") { return "\(state)/apus" }
        guard let home = environment["HOME"], home.hasPrefix("/"), home != "/" else { return nil }
        return "\(home)/.local/state/apus"
    }
}
