internal import ApusCore

extension Command {
    static let dev = Command(
        CommandDescription(
            name: "dev", summary: "deploy a folder again with each change, and show logs and results",
            details: """
                Deploys as 'apus deploy --wait' does, then watches the manifests' folders and their sources: each change that a bundle would hold
                is deployed at once. What the functions print and what arrives on their reply topics is shown as it comes; with --data each
                deployment is tried with that. Ctrl-C ends it; what is deployed stays.
                """,
            positionals: [
                PositionalDescription(
                    name: "PATH", summary: "manifest files or their folders", repeats: true, values: .files)
            ],
            options: [
                .value(
                    "--data", short: "-d", "DATA", "call the functions with this after each deployment", values: .files),
                .flag("--quiet", "show neither logs nor replies"),
                .value("--deployments", "COUNT", "end after so many deployments"),
            ],
            examples: [
                .init("apus dev .", "The function in this folder"),
                .init(#"apus dev functions/echo --data '{"hello": "world"}'"#, "Try each change at once"),
            ]
        )
    ) { context in
        let deployments = try context.arguments.integer("--deployments", in: 1...Int.max) ?? Int.max
        try DevSession(context).run(deployments: deployments)
    }
}
