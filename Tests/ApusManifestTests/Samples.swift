/// Manifests that are accepted, used by several suites.
enum Samples {
    static let smallest = """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: echo}
        spec: {runtime: python3, handler: "main:echo"}
        """

    static let whole = """
        # Every field that has effect.
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: embed-text, namespace: search, labels: {team: search, tier: 1}}
        spec:
          description: Turns text into a 384-dimensional sentence embedding.
          runtime: python3
          handler: main:embed
          source: ./code
          dependencies: {file: requirements.txt, resolve: false, allowBuild: true}
          env: {MODEL: minilm, SIZE: 384, VERBOSE: no, EXACT: true, RATIO: 1.10}
          secrets: []
          weights: []
          timeout: 45s
          concurrency: 2
          reuse: function
          batch: {maxSize: 16, maxWait: 5ms}
          resources: {memory: 768Mi, cpu: 1.5, processes: 48, scratch: 128Mi}
          scale: {min: 1, max: 4, idle: 2m, gpuIdle: adaptive, hostIdle: 4h, weight: 1}
          sandbox: {profile: python, isolation: hostile, network: none}
          triggers:
            - topic: documents.new
              filter: {type: com.example.document.created, priority: 5}
              order: partition
              from: 2026-07-28T14:00:00.25+02:00
              replyTo: embeddings
              retry: {attempts: 7, initial: 100ms, max: 1m}
              deadLetter: documents.dead
              onExhausted: drop
              delivery: at-least-once
              paused: true
            - topic: documents.new
              name: again
              order: none
              deadLetter: documents.dead
            - {topic: settings, table: true}
          emits: [alerts, embeddings]
        ---
        apiVersion: apus.dev/v1
        kind: Topic
        metadata: {name: documents.new, namespace: search}
        spec: {partitions: 8, retention: {time: 30d, size: unlimited}, compact: false}
        ---
        apiVersion: apus.dev/v1
        kind: Topic
        metadata: {name: settings, namespace: search}
        spec:
          compact: true
        ---
        apiVersion: apus.dev/v1
        kind: Topic
        metadata: {name: embeddings}
        """

    static let native = """
        apiVersion: apus.dev/v1
        kind: Function
        metadata:
          name: count
        spec:
          runtime: native
          handler: bin/count --fast
          triggers:
            - &base
              topic: words
              order: key
              onExhausted: block
            - <<: *base
              name: again
              order: partition
        """

    static let exec = """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: word-count}
        spec:
          runtime: exec
          handler: ./count.sh --words
          build: make count.sh
          concurrency: 4
          resources: {processes: 16}
          triggers: [{topic: words, replyTo: counts}]
        """

    static let node = """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: shorten}
        spec:
          runtime: node
          handler: lib/main:handle
          concurrency: 8
          sandbox: {profile: node}
          triggers: [{topic: texts, replyTo: shorts}]
        """

    /// On devices.
    static let device = """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: generate}
        spec:
          runtime: python3
          handler: main:generate
          resources:
            hostMemory: 1Gi
            gpu: {memory: 8Gi, residue: 512Mi, count: 2, kind: H200}
          scale: {gpuIdle: 90s, hostIdle: adaptive, weight: 2}
        """

    static let all = [Self.smallest, Self.whole, Self.native, Self.exec, Self.node, Self.device]

    /// What fields look like that have no effect yet.
    static let later = """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: embed-text, namespace: default, labels: {team: search}}
        spec:
          runtime: mcp
          handler: server
          secrets: [EMBED_TOKEN]
          triggers:
            - topic: documents
              filter: {sql: "type = 'a'"}
            - http: {path: "/embed/{id}", methods: [POST], auth: required}
        """
}
