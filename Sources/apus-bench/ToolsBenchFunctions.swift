internal import ApusSandbox
internal import Glibc

/// Many tools of an HTTP API, which need no code, two that run an echo in a sandbox, and a server that lists nothing but the search.
struct ToolsBenchFunctions: HTTPBenchDeployment {
    let tools: Int

    /// What one file of manifests may hold, with room for the rest.
    private static let perFile = 250

    func write(to folder: String, _ files: InstalledFiles) throws -> [(folder: String, starts: Bool)] {
        let echoes = "\(folder)/echoes"
        mkdir(echoes, 0o755)
        try BenchProcess.copy(files.echoWorker, to: "\(echoes)/echo-native")
        try BenchFiles.write(Self.echoes, to: "\(echoes)/function.yaml")
        var folders = [(folder: echoes, starts: true)]
        for first in stride(from: 0, to: self.tools, by: Self.perFile) {
            let folder = "\(folder)/tools-\(first)"
            mkdir(folder, 0o755)
            let documents = (first..<min(first + Self.perFile, self.tools)).map(Self.tool)
            try BenchFiles.write(documents.joined(separator: "---\n"), to: "\(folder)/function.yaml")
            try BenchFiles.write(#"{"method": "GET", "url": "https://api.example.com/items"}"#, to: "\(folder)/operation.json")
            folders.append((folder, false))
        }
        return folders
    }

    private static let input =
        #"{"type":"object","properties":{"text":{"type":"string","maxLength":100}},"required":["text"]}"#

    private static func tool(_ index: Int) -> String {
        """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: tool-\(index)}
        spec:
          description: Gives item \(index) of the shop, with its price and how many are left.
          runtime: http
          handler: operation.json
          sandbox: {network: {allow: ["api.example.com:443"]}}
          reuse: function
          tool: {name: get_item_\(index), input: '\(self.input)'}

        """
    }

    private static let echoes = """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: warm}
        spec:
          runtime: native
          handler: echo-native
          reuse: function
          scale: {min: 1, max: 1}
          tool: {name: warm, async: auto, input: '\(input)'}
        ---
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: fresh}
        spec:
          runtime: native
          handler: echo-native
          reuse: never
          scale: {min: 4, max: 8}
          tool: {name: fresh, input: '\(input)'}
        ---
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: slow}
        spec:
          runtime: exec
          handler: \(ToolsBenchCancel.handler)
          reuse: never
          tool: {name: slow, input: {type: object}}
        ---
        apiVersion: apus.dev/v1
        kind: ToolServer
        metadata: {name: bench}
        spec: {mode: search}
        """
}
