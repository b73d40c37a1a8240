internal import ApusHTTP

/// What was decided on the head of a request, for its handler and for the sweep of open streams.
final class Admission {
    let principal: Principal
    /// Without it the request would have been refused; nil where none is needed.
    let credential: Credential?
    /// What the router found; nil when there is nothing to run.
    let route: (Route, RouteParameters)?

    init(_ principal: Principal, _ credential: Credential?, _ route: (Route, RouteParameters)?) {
        self.principal = principal
        self.credential = credential
        self.route = route
    }
}
