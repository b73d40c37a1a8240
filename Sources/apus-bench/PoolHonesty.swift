internal import ApusCore
internal import ApusEngine
internal import ApusFleet
internal import ApusHTTP
internal import ApusTestSupport
internal import Glibc

/// How near the simulator is to this machine: one trace through real processes on declared devices, and through the simulated fleet.
///
/// What the simulator knows of this machine comes from another run, shorter and of another trace, on a server of its own; of the run
/// that it is compared with it gets nothing but when the requests were sent.
struct PoolHonesty {
    /// What half of the starts, and 95 of 100, may be off by.
    static let medianMax = 0.10
    static let ninetyFifthMax = 0.25
    /// Starts that a comparison is made of, at least.
    private static let enough = 20

    private struct Model {
        var name: String
        var gibibytes: Int64
        var scale: String
    }

    /// Each takes another size, which is how it is known again in a recording. Six of them on two devices that hold five or so.
    private static let models = [
        Model(name: "a", gibibytes: 8, scale: "max: 1, gpuIdle: 4s, hostIdle: 15s"),
        Model(name: "b", gibibytes: 7, scale: "max: 1, gpuIdle: adaptive, hostIdle: 40s"),
        Model(name: "c", gibibytes: 4, scale: "max: 1, gpuIdle: 3s, hostIdle: 10s"),
        Model(name: "d", gibibytes: 16, scale: "max: 1, gpuIdle: 6s, hostIdle: 12s"),
        Model(name: "e", gibibytes: 9, scale: "max: 1, gpuIdle: 5s, hostIdle: 5s"),
        Model(name: "f", gibibytes: 5, scale: "max: 2, gpuIdle: adaptive, hostIdle: 1h"),
    ]
    private static let devices = 2
    private static let deviceBytes: Int64 = 32 << 30
    private static let hostMemory: Int64 = 64 << 30
    private static let body = Array(#"{"prompt":"the pool","tokens":8,"stream":false}"#.utf8)

    private let directory: String
    private let source: String
    private let length: Int
    private let calibration: Int
    /// A file that gets a line for each request; nil writes none.
    private let pairs: String?

    /// One run against a server of its own.
    private struct Run {
        var answers: [PoolLoad.Answer]
        /// Seconds of an answer where an instance was ready.
        var warm: Double
        var recording: String
    }

    init(_ options: BenchOptions) throws {
        self.directory = options.directory
        self.source = options.others["function"] ?? "functions/generate"
        self.length = try options.number("seconds", default: 300)
        self.calibration = try options.number("calibration", default: 90)
        self.pairs = options.others["pairs"]
    }

    func run() throws -> [Figure] {
        let calibrated = try self.play(seed: 101, seconds: self.calibration, measuresWarm: true)
        let calibration = try FleetCalibration(calibrated.recording)
        let real = try self.play(seed: 1, seconds: self.length, measuresWarm: false)
        let replay = try PoolReplay(real.recording)
        if let difference = replay.difference ?? calibration.replay.difference {
            throw BenchFailure("the recorded run is decided otherwise now: \(difference)")
        }
        let starts = try self.simulate(real, calibration, warm: calibrated.warm)
        if let path = self.pairs { try writeFile(path, Self.table(real, starts, calibrated.warm)) }
        return try Self.figures(real, starts, calibrated.warm, calibration, replay)
    }

    // MARK: real

    private func play(seed: UInt64, seconds: Int, measuresWarm: Bool) throws -> Run {
        let site = try IdleBenchSite(
            directory: self.directory,
            variables: [
                "APUS_POOL_RECORD": "256Mi", "APUS_POOL_HOST_MEMORY": "\(Self.hostMemory >> 30)Gi",
                "APUS_POOL_DEVICES_SIMULATE": "[{kind: trial, memory: \(Self.deviceBytes >> 30)Gi, "
                    + "count: \(Self.devices), hostToDevice: 4Gi, deviceToHost: 8Gi, disk: 2Gi}]",
            ])
        defer { site.close() }
        _ = try site.start()
        for model in Self.models { try self.deploy(model, on: site) }
        let load = try PoolLoad(site, body: Self.body)
        let trace = Self.trace(seed: seed, seconds: seconds)
        let answers = try load.play(trace.map { ($0.at, Self.models[$0.function].name) })
        let warm = measuresWarm ? try self.warm(load) : 0
        try site.stop()
        let bytes = try readFile(site.data("pool.record"))
        return Run(answers: answers, warm: warm, recording: String(decoding: bytes, as: UTF8.self))
    }

    /// One call right after another finds the instance ready.
    private func warm(_ load: PoolLoad) throws -> Double {
        var spans: [Double] = []
        for model in Self.models {
            for turn in 0..<6 {
                let span = try load.call(model.name)
                if turn > 0 { spans.append(span) }
            }
        }
        return median(spans)
    }

    private func deploy(_ model: Model, on site: IdleBenchSite) throws {
        var files: [String: [UInt8]] = [:]
        for name in ["main.py", "model.py", "requirements.txt"] {
            files[name] = try readFile("\(self.source)/\(name)")
        }
        let manifest = """
            apiVersion: apus.dev/v1
            kind: Function
            metadata: {name: \(model.name)}
            spec:
              runtime: python3
              handler: main:generate
              source: .
              dependencies: requirements.txt
              timeout: 60s
              resources:
                memory: 512Mi
                processes: 32
                hostMemory: \(model.gibibytes)Gi
                gpu: {memory: \(model.gibibytes)Gi}
              scale: {\(model.scale)}
            """
        try site.apus(["deploy", try site.write(model.name, manifest, files)])
    }

    private static func trace(seed: UInt64, seconds: Int) -> [Arrival] {
        var trace = TraceGenerator()
        trace.functions = self.models.count
        trace.zipf = 0.4
        trace.pattern = .poisson
        trace.seed = seed
        trace.length = .seconds(Int64(seconds))
        trace.requestsPerSecond = 0.4
        return trace.arrivals()
    }

    // MARK: simulated

    /// - Returns: how each request of the run begins in the simulation.
    private func simulate(_ real: Run, _ calibration: FleetCalibration, warm: Double) throws -> [RequestStart] {
        let answer = TimeSpan(microseconds: Int64(warm * 1e6))
        var fleet = FleetSimulation.Fleet()
        fleet.devices = Self.devices
        fleet.deviceBytes = Self.deviceBytes
        fleet.hostMemory = Self.hostMemory
        fleet.models = try Self.models.map { model in
            let plan = calibration.plans.values.first { $0.deviceBytes == model.gibibytes << 30 }
            guard let plan, let times = calibration.times(of: plan.function) else {
                throw BenchFailure("the calibration saw too few starts: give --calibration more seconds")
            }
            return FleetModel(plan: plan, times: times)
        }
        let arrivals = real.answers.map { sent in
            Arrival(
                at: Timestamp(microseconds: Int64(sent.at * 1e6)),
                function: Self.models.firstIndex { $0.name == sent.function } ?? 0, service: answer)
        }
        var simulation = FleetSimulation(
            fleet, arrivals: arrivals, functions: Self.models.count, policy: .rentOrBuy(RentOrBuy()), isChecked: true,
            isRecorded: true)
        if let fault = simulation.run() { throw BenchFailure(fault) }
        let starts = (simulation.beginnings ?? []).compactMap { $0 }
        guard starts.count == arrivals.count else { throw BenchFailure("\(starts.count) of \(arrivals.count) began") }
        return starts
    }

    // MARK: compared

    private static func table(_ real: Run, _ starts: [RequestStart], _ warm: Double) -> String {
        zip(real.answers, starts).reduce("at,function,seconds,simulated,from\n") { text, pair in
            let foretold = Double(pair.1.after.microseconds) * 1e-6 + warm
            return text + "\(pair.0.at),\(pair.0.function),\(pair.0.took),\(foretold),\(pair.1.from)\n"
        }
    }

    /// A request that nobody waited a start for tells nothing of starts; one that either side says waited, does.
    private static func figures(
        _ real: Run, _ starts: [RequestStart], _ warm: Double, _ calibration: FleetCalibration, _ replay: PoolReplay
    ) throws -> [Figure] {
        var error = Figure("honesty_error", unit: "relative")
        var (waited, simulated) = (Figure("honesty_start", unit: "s"), Figure("honesty_start_simulated", unit: "s"))
        // Between what a warm answer takes and the quickest start there is nothing.
        let least = 3 * warm + 0.02
        for (answer, start) in zip(real.answers, starts) {
            let foretold = Double(start.after.microseconds) * 1e-6 + warm
            guard answer.took > least || foretold > least else { continue }
            waited.add(answer.took)
            simulated.add(foretold)
            error.add(abs(foretold - answer.took) / answer.took)
        }
        guard error.samples.count >= Self.enough else {
            throw BenchFailure("\(error.samples.count) starts say little: give --seconds more")
        }
        let half = median(error.samples)
        let most = percentile(95, of: error.samples)
        return [
            Figure("honesty_median", unit: "relative", samples: [half], bound: Self.medianMax),
            Figure("honesty_p95", unit: "relative", samples: [most], bound: Self.ninetyFifthMax),
            error, waited, simulated,
            Figure("honesty_warm", unit: "s", samples: [warm]),
            Figure("honesty_requests", unit: "requests", samples: [Double(real.answers.count)]),
            Figure("honesty_replayed", unit: "inputs", samples: [Double(replay.inputs)]),
            Figure(
                "honesty_calibrated", unit: "starts",
                samples: [Double(calibration.count(.load) + calibration.count(.wake))]),
        ]
    }
}
