public import ApusCore
internal import CShims
internal import Glibc

/// Giving up root for good.
public enum Privileges {
    /// Raises the descriptor limit to the hard one and ignores SIGPIPE. Before the nursery is started.
    /// - Returns: how many descriptors the server may have.
    @discardableResult
    public static func prepare() throws(ApusError) -> Int {
        signal(SIGPIPE, SIG_IGN)
        let limit = apus_raise_descriptor_limit()
        guard limit > 0 else {
            throw ApusError(.internal, "the descriptor limit cannot be raised: \(errorText(CInt(-limit)))")
        }
        return limit
    }

    /// Closes what whoever started the process left open: root opened it, and the server would keep it. Before anything is opened.
    public static func closeInherited() throws(ApusError) {
        let result = apus_close_inherited()
        guard result == 0 else {
            throw ApusError(.internal, "inherited descriptors cannot be closed: \(errorText(-result))")
        }
    }

    /// Becomes the server's user: no groups, no capabilities, no_new_privs. Before any thread exists, after the nursery
    /// was started.
    public static func drop(to report: HostReport) throws(ApusError) {
        var step: UnsafePointer<CChar>?
        let result = apus_drop_privileges(report.serverUser, report.serverGroup, &step)
        guard result == 0 else {
            let step = step.map { String(cString: $0) } ?? "?"
            throw ApusError(
                .sandboxUnavailable,
                "root could not be given up (\(step): \(errorText(-result))); the server does not run with it")
        }
    }

    /// Without root there is nothing to give up but what could still be gained: no capabilities, no_new_privs. Before any thread
    /// exists, after the nursery was started: newuidmap gains some.
    public static func forgo() throws(ApusError) {
        let result = apus_forgo_privileges()
        guard result == 0 else {
            throw ApusError(
                .sandboxUnavailable,
                "privileges could not be forgone (\(errorText(-result))); the server does not run so")
        }
    }

    /// What an ordinary user is told.
    public static let needsRoot = ApusError(
        .needsRoot,
        "sandboxes need root: run `sudo apus serve`; the server drops its privileges right after it has started. "
            + "Without root: `apus serve --rootless`, with less isolation (docs/operating/rootless.md)")

    /// Whether this process is the server's user without any privilege.
    public static func isDropped(to report: HostReport) -> Bool {
        apus_verify_dropped(report.serverUser, report.serverGroup) == 0
    }
}
