internal import ApusJSON

/// What `GET /v1/stats` says of one namespace, as `apus top` shows it.
struct TopReport: Equatable, Sendable {
    /// Microseconds, exact to a factor of two.
    struct Latency: Equatable, Sendable {
        var count = 0
        var p50: Int64?
        var p99: Int64?
    }

    struct Function: Equatable, Sendable {
        var name = ""
        /// Attempts that ended, the mean of the last seconds.
        var perSecond = 0.0
        var failuresPerSecond = 0.0
        /// Attempts that ended, second by second, the newest last.
        var series: [Int] = []
        /// Since the start of the server, as all that follows.
        var failed = 0
        var deadLettered = 0
        var running = Latency()
        var queued = Latency()
        /// Workers that exist now.
        var workers = 0
        var busy = 0
        var starts = Latency()
        var costPerHour = 0.0
    }

    struct Device: Equatable, Sendable {
        var id = ""
        var health = ""
        var isSimulated = false
        /// Bytes.
        var used: Int64 = 0
        var capacity: Int64 = 0
        /// What is on it: a function and its state.
        var instances: [String] = []
    }

    /// A function whose start waits for its weights.
    struct Fetch: Equatable, Sendable {
        var function = ""
        var fetched: Int64 = 0
        /// All of them, where that is known.
        var bytes: Int64?
    }

    struct Topic: Equatable, Sendable {
        var name = ""
        var perSecond = 0.0
        var bytesPerSecond = 0.0
        var series: [Int] = []
        /// Events that the trigger that is furthest behind has yet to settle.
        var lag = 0
        /// That trigger: `function/trigger`; empty when none reads the topic.
        var reader = ""
        var readers = 0
        var deadLetters = 0
    }

    struct State: Equatable, Sendable {
        var name: String
        var count: Int
    }

    var time = ""
    var functions: [Function] = []
    var topics: [Topic] = []
    /// Workers by state.
    var instances: [State] = []
    var coldStarts = Latency()
    /// Of the whole server; none for who may not see them.
    var devices: [Device] = []
    var fetches: [Fetch] = []
    /// Events that may run and wait for a worker.
    var waiting = 0
    /// Of the namespace as things are now; nil without prices.
    var costPerHour: Double?
    var currency = ""
    /// Some of the cost is of devices that are declared.
    var isCostSimulated = false

    init() {}

    init(_ json: JSONValue) {
        self.time = json["time"]?.string ?? ""
        self.functions = (json["functions"]?.array ?? []).map(Function.init)
        self.instances = (json["instances"]?.object ?? [:]).map { State(name: $0.name, count: $0.value.int ?? 0) }
        self.coldStarts = Latency(json["coldStarts"])
        self.waiting = json["waiting"]?.int ?? 0
        self.costPerHour = json["cost"]?["perHour"]?.double
        self.currency = json["cost"]?["currency"]?.string ?? ""
        self.isCostSimulated = json["cost"]?["simulated"]?.boolean ?? false
        self.devices = (json["devices"]?.array ?? []).map(Device.init)
        self.fetches = (json["fetches"]?.array ?? []).map {
            Fetch(function: $0["function"]?.string ?? "", fetched: $0["fetched"]?.integer ?? 0, bytes: $0["bytes"]?.integer)
        }
        self.topics = (json["topics"]?.array ?? []).map(Topic.init)
        for trigger in json["triggers"]?.array ?? [] { self.add(trigger) }
    }

    /// A topic that nothing was written to since the start has no rates, and may lag all the same.
    private mutating func add(_ trigger: JSONValue) {
        let name = trigger["topic"]?.string ?? ""
        let lag = trigger["lag"]?.int ?? 0
        let index = self.topics.firstIndex { $0.name == name }
        var topic = index.map { self.topics[$0] } ?? Topic(name: name)
        topic.readers += 1
        topic.deadLetters += trigger["deadLetters"]?.int ?? 0
        if topic.reader.isEmpty || lag > topic.lag {
            topic.lag = lag
            topic.reader = "\(trigger["function"]?.string ?? "")/\(trigger["trigger"]?.string ?? "")"
        }
        if let index { self.topics[index] = topic } else { self.topics.append(topic) }
    }
}

extension TopReport.Latency {
    init(_ json: JSONValue?) {
        self.init(count: json?["count"]?.int ?? 0, p50: json?["p50"]?.integer, p99: json?["p99"]?.integer)
    }
}

extension TopReport.Function {
    init(_ json: JSONValue) {
        let succeeded = json["succeeded"]?.array ?? []
        let failed = json["failed"]?.array ?? []
        self.name = json["name"]?.string ?? ""
        self.perSecond = json["perSecond"]?.double ?? 0
        self.failuresPerSecond = json["failuresPerSecond"]?.double ?? 0
        self.series = zip(succeeded, failed).map { ($0.int ?? 0) + ($1.int ?? 0) }
        self.failed = json["totals"]?["failed"]?.int ?? 0
        self.deadLettered = json["totals"]?["deadLettered"]?.int ?? 0
        self.running = TopReport.Latency(json["running"])
        self.queued = TopReport.Latency(json["queued"])
        self.starts = TopReport.Latency(json["coldStarts"])
        self.costPerHour = json["costPerHour"]?.double ?? 0
        for state in json["instances"]?.object ?? [:] where state.name != "stopped" {
            self.workers += state.value.int ?? 0
            if state.name == "busy" { self.busy = state.value.int ?? 0 }
        }
    }
}

extension TopReport.Device {
    init(_ json: JSONValue) {
        self.id = json["id"]?.string ?? ""
        self.health = json["health"]?.string ?? ""
        self.isSimulated = json["simulated"]?.boolean ?? false
        self.used = json["used"]?.integer ?? 0
        self.capacity = json["capacity"]?.integer ?? 0
        self.instances = (json["instances"]?.array ?? []).map {
            "\($0["function"]?.string ?? "") \($0["state"]?.string ?? "")"
        }
    }
}

extension TopReport.Topic {
    init(_ json: JSONValue) {
        self.name = json["name"]?.string ?? ""
        self.perSecond = json["perSecond"]?.double ?? 0
        self.bytesPerSecond = json["bytesPerSecond"]?.double ?? 0
        self.series = (json["records"]?.array ?? []).map { $0.int ?? 0 }
    }
}
