/// Small functions that tests deploy.
enum Functions {
    /// Two topics and a Python function between them.
    static func between(
        _ source: String, _ target: String, handler: String = "main:handle", extra: String = "", trigger: String = ""
    ) -> String {
        """
        apiVersion: apus.dev/v1
        kind: Topic
        metadata: {name: \(source)}
        spec: {partitions: 4}
        ---
        apiVersion: apus.dev/v1
        kind: Topic
        metadata: {name: \(target)}
        spec: {partitions: 4}
        ---
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: worker}
        spec:
          runtime: python3
          handler: \(handler)
          source: .
          resources: {memory: 128Mi}
          scale: {max: 2, idle: 30s}
        \(extra)
          triggers:
            - {topic: \(source), replyTo: \(target)\(trigger)}
        """
    }

    static let echo = """
        def handle(event, context):
            print("handling", event.key)
            return {"text": event.data["text"], "attempt": context.attempt}
        """
}
