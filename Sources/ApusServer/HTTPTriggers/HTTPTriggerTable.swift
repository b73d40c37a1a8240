internal import ApusCore
internal import ApusHTTP
internal import ApusManifest
internal import ApusStore

/// Which function answers which requests below `/fn`: every loop holds a copy, so that a request is admitted on its head and
/// dispatched without a hop.
struct HTTPTriggerTable: Sendable {
    struct Trigger: Sendable {
        var function: ResourceName
        var name: String
        var isPublic: Bool
        /// What the function is told: GET where a HEAD came for a trigger that names GET alone.
        var method: String
    }

    /// What a request is for: a namespace and the segments of its path below `/fn`.
    struct Target {
        var namespace: Namespace
        var segments: [String]

        /// - Returns: nil for a path that leads to no trigger of any namespace.
        init?(_ path: RequestPath) {
            let segments = path.segments
            let below: ArraySlice<String>
            if segments.first == "fn" {
                self.namespace = .default
                below = segments.dropFirst()
            } else if segments.count >= 4, segments[0] == "v1", segments[1] == "namespaces", segments[3] == "fn",
                let namespace = Namespace(segments[2])
            {
                self.namespace = namespace
                below = segments.dropFirst(4)
            } else {
                return nil
            }
            // `/fn/` is the root as `/fn` is.
            self.segments = below.elementsEqual([""]) ? [] : Array(below)
        }

        /// As a handler sees it: `/embed/7`.
        var path: String { "/" + self.segments.joined(separator: "/") }
    }

    typealias Match = Router<Trigger>.Match

    private var routers: [Namespace: Router<Trigger>] = [:]

    init() {}

    init(_ catalogue: Catalogue) {
        for function in catalogue.functions.values.sorted(by: { $0.name < $1.name }) {
            for trigger in function.manifest.httpTriggers { self.add(trigger, of: function.name) }
        }
    }

    /// What two functions want, the first one has: a deploy refuses it, so that only a log written elsewhere can say it.
    mutating func add(_ trigger: HTTPTriggerManifest, of function: ResourceName) {
        for method in trigger.claims.sorted() {
            let entry = Trigger(
                function: function, name: trigger.name, isPublic: trigger.authentication == .public,
                method: trigger.methods.contains(method) ? method : "GET")
            self.routers[function.namespace, default: Router()].insert(method, trigger.path.description, entry)
        }
    }

    func match(method: String, _ target: Target) -> Match {
        self.routers[target.namespace]?.match(method: method, segments: target.segments) ?? .notFound
    }

    /// Whether anybody may send this request, without a token. Decided on the head: the handler asks again, since what is
    /// deployed may change before the body is there.
    func isOpen(method: String, rawPath: String) -> Bool {
        guard rawPath.hasPrefix("/fn") || rawPath.hasPrefix("/v1/namespaces/"),
            let path = try? RequestPath(parsing: rawPath), let target = Target(path)
        else { return false }
        if case .found(let trigger, _) = self.match(method: method, target) { return trigger.isPublic }
        return false
    }
}
