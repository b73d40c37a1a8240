internal import ApusCore

/// A function to begin with: its files, by the runtime it is written for and what starts it.
struct FunctionTemplate {
    enum Runtime: String, CaseIterable { case python3, node, exec, native }
    enum Trigger: String, CaseIterable { case none, topic, http, schedule, tool }

    struct File: Equatable {
        /// Relative to the function's folder.
        var path: String
        var text: String
        var isExecutable = false
    }

    let name: String
    let runtime: Runtime
    let trigger: Trigger
    /// Where the package with `ApusFunction` lies.
    var sdk = ""

    var files: [File] {
        let code =
            switch self.runtime {
            case .python3: self.pythonFiles
            case .node: self.nodeFiles
            case .exec: self.execFiles
            case .native: self.nativeFiles
            }
        return [File(path: "function.yaml", text: self.manifest), File(path: "README.md", text: self.readme)] + code
    }

    // MARK: the manifest

    private var manifest: String {
        self.topics + """
            apiVersion: apus.dev/v1
            kind: Function
            metadata: {name: \(self.name)}
            spec:
              description: Greets whoever it is told of.
            \(self.runtimeLines)
              timeout: 10s
            \(self.triggerLines)
            """ + (self.trigger == .none ? "" : "\n")
    }

    private var runtimeLines: String {
        switch self.runtime {
        case .python3:
            """
              runtime: python3
              handler: main:handle        # module:function
            """
        case .node:
            """
              runtime: node
              handler: main:handle        # module:export
            """
        case .exec:
            """
              runtime: exec
              handler: ./run.sh           # one process for each event: data on standard input, result on standard output
            """
        case .native:
            """
              runtime: native
              build: swift build -c release --static-swift-stdlib
              handler: .build/release/\(self.name)
            """
        }
    }

    /// Tools are called as functions of a program are: words joined by '_'.
    private var toolName: String { String(self.name.map { $0 == "-" ? "_" : $0 }) }

    private var topics: String {
        guard self.trigger == .topic else { return "" }
        return [self.name, "\(self.name).replies"].map { topic in
            """
            apiVersion: apus.dev/v1
            kind: Topic
            metadata: {name: \(topic)}
            ---

            """
        }.joined()
    }

    private var triggerLines: String {
        switch self.trigger {
        case .none: ""
        case .topic:
            """
              triggers:
                - {topic: \(self.name), replyTo: \(self.name).replies}
            """
        case .http:
            """
              triggers:
                - http: {path: /\(self.name), methods: [POST], auth: required}
            """
        case .schedule:
            """
              triggers:
                - schedule: {cron: "*/5 * * * *", zone: UTC, missed: once}
            """
        case .tool:
            """
              tool:
                name: \(self.toolName)
                input:
                  type: object
                  properties: {name: {type: string, description: Whom to greet.}}
                  additionalProperties: false
                annotations: {readOnly: true}
            """
        }
    }

    // MARK: the README

    private var readme: String {
        """
        # \(self.name)

        Greets whoever it is told of.

        ```sh
        \(self.testLine)
        apus deploy . --wait                            # from this folder
        apus invoke \(self.name) --data '{"name": "Ada"}'
        \(self.triggerExample)apus dev . --data '{"name": "Ada"}'             # deploys each change, and tries it
        ```

        """
    }

    private var testLine: String {
        switch self.runtime {
        case .python3: "python3 -m unittest                             # its test, without a server"
        case .node: "node --test                                     # its test, without a server"
        case .exec: "./test.sh                                       # its test, without a server"
        case .native: "swift test                                      # its test, without a server"
        }
    }

    private var triggerExample: String {
        switch self.trigger {
        case .none, .schedule: ""
        case .topic:
            """
            apus publish \(self.name) --data '{"name": "Grace"}'
            apus consume \(self.name).replies --from earliest

            """
        case .http:
            """
            curl -H "Authorization: Bearer $APUS_TOKEN" --json '{"name": "Ada"}' http://127.0.0.1:8787/fn/\(self.name)

            """
        case .tool:
            """
            apus tools call \(self.toolName) --data '{"name": "Grace"}'   # as an agent calls it

            """
        }
    }
}
