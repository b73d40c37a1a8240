internal import ApusCore
internal import ApusJSON

extension Command {
    static let sweep = Command(
        CommandDescription(
            name: "sweep", summary: "remove now what retention lets go",
            details: """
                The server does it by itself every ten minutes: bundles, dependency layers and weights that no revision needs, what
                interrupted uploads left, and what queries know of things that are gone. Topics keep to their own retention.
                """,
            options: [.flag("--dry-run", "tell what would go, and remove nothing")],
            examples: [
                .init("apus sweep --dry-run", "What would go?"),
                .init("apus sweep", "Make room now"),
            ]
        )
    ) { context in
        let isDryRun = context.arguments.has("--dry-run")
        let request = APIRequest(.post, "/v1/sweep", query: isDryRun ? [("dryRun", "true")] : [], body: [])
        let answer = try context.client().call(request).json()
        try context.show(answer) {
            var table = TextTable(["KIND", isDryRun ? "WOULD REMOVE" : "REMOVED", "BYTES", "KEPT", "KEPT BYTES", ""])
            for item in answer["items"]?.array ?? [] {
                table.add([
                    item["kind"]?.string ?? "", "\(item["removed"]?.integer ?? 0)",
                    "\(item["removedBytes"]?.integer ?? 0)", "\(item["kept"]?.integer ?? 0)",
                    "\(item["keptBytes"]?.integer ?? 0)", item["failure"]?.string ?? "",
                ])
            }
            return table.render(width: nil)
        }
    }
}
