internal import ApusCore
internal import ApusHTTP
internal import ApusTools

/// What was decided on the head of a request, for its handler and for the sweep of open streams.
final class Admission {
    let principal: Principal
    /// Without it the request would have been refused; nil where none is needed.
    let credential: Credential?
    /// What the router found; nil when there is nothing to run.
    let route: (Route, RouteParameters)?
    /// Made once: a connection asks the same endpoint again and again.
    private var caller: ToolCaller?

    init(_ principal: Principal, _ credential: Credential?, _ route: (Route, RouteParameters)?) {
        self.principal = principal
        self.credential = credential
        self.route = route
    }

    /// Who asks about tools of a namespace.
    func caller(in namespace: Namespace) -> ToolCaller {
        if let caller, caller.namespace == namespace { return caller }
        let caller = self.principal == .anonymous ? .anonymous(namespace) : ToolCaller(self.principal, in: namespace)
        self.caller = caller
        return caller
    }
}
