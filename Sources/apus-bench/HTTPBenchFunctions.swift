internal import ApusSandbox
internal import Glibc

/// An echo in Python, a native one, and a topic.
struct HTTPBenchFunctions: HTTPBenchDeployment {
    let concurrency: Int
    let workers: Int

    func write(to folder: String, _ files: InstalledFiles) throws -> [(folder: String, starts: Bool)] {
        let functions = "\(folder)/functions"
        for name in ["", "/native"] { mkdir("\(functions)\(name)", 0o755) }
        let kind = self.concurrency > 1 ? "async def" : "def"
        try BenchFiles.write(
            "\(kind) echo(event, context):\n    return event.data\n", to: "\(functions)/main.py")
        try BenchFiles.write(self.manifest, to: "\(functions)/function.yaml")
        try BenchProcess.copy(files.echoWorker, to: "\(functions)/native/echo-native")
        return [(functions, true)]
    }

    private var manifest: String {
        """
        apiVersion: apus.dev/v1
        kind: Topic
        metadata: {name: events}
        spec: {partitions: 4, retention: {size: 1Gi}}
        ---
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: python}
        spec:
          runtime: python3
          handler: main:echo
          concurrency: \(self.concurrency)
          scale: {min: \(self.workers), max: \(self.workers)}
        ---
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: native}
        spec:
          runtime: native
          handler: echo-native
          source: native
          concurrency: 64
          scale: {min: 1, max: 1}
        """
    }
}
