internal import ApusCore
internal import ApusHost
internal import ApusTelemetry

/// Every metric of the server. The table in `docs/operating/observability.md` is made of this list, and a test sees to it that it is.
///
/// Labels are names that an operator deployed, or words of this code: never what a caller sent.
enum ServerMetric {
    private static let function = ["namespace", "function"]
    private static let topic = ["namespace", "topic"]
    private static let seconds = MetricDescription.Kind.histogram(bounds: LatencyHistogram.bounds)

    // Attempts and deliveries.
    static let attempts = MetricDescription("apus_attempts_total", "Attempts dispatched to workers.", .counter)
    static let succeeded = MetricDescription("apus_attempts_succeeded_total", "Attempts that succeeded.", .counter)
    static let failed = MetricDescription("apus_attempts_failed_total", "Attempts that failed.", .counter)
    static let inFlight = MetricDescription("apus_attempts_in_flight", "Attempts that run now.", .gauge)
    static let functionAttempts = MetricDescription(
        "apus_function_attempts_total", "Attempts that ended, by `outcome`: `succeeded` or `failed`.", .counter,
        labels: function + ["outcome"])
    static let functionDeadLetters = MetricDescription(
        "apus_function_dead_letters_total", "Deliveries of a function given up on and kept as dead letters.", .counter,
        labels: function)
    static let retries = MetricDescription(
        "apus_retries_total", "Deliveries that wait or waited for another attempt.", .counter)
    static let deadLetters = MetricDescription(
        "apus_dead_letters_total", "Deliveries given up on and kept as dead letters.", .counter)
    static let dropped = MetricDescription(
        "apus_dropped_total", "Deliveries given up on and dropped, as their trigger says.", .counter)
    static let filtered = MetricDescription(
        "apus_filtered_total", "Events that a trigger's filter did not take.", .counter)
    static let filterErrors = MetricDescription(
        "apus_filter_errors_total", "Events for which an expression in a trigger's filter failed.", .counter)
    static let requests = MetricDescription("apus_requests_total", "Direct invocations.", .counter)
    static let replies = MetricDescription("apus_replies_total", "Records appended to reply topics.", .counter)
    static let emitted = MetricDescription("apus_emitted_total", "Events that functions emitted.", .counter)
    static let lag = MetricDescription(
        "apus_trigger_lag", "Records on the topic that the trigger has not settled.", .gauge,
        labels: function + ["trigger"])
    static let oldest = MetricDescription(
        "apus_trigger_oldest_seconds",
        "How long ago the log took the oldest record that the trigger has not settled; 0 without one.", .gauge,
        labels: function + ["trigger"])
    static let recordsLost = MetricDescription(
        "apus_records_lost_total",
        "Offsets that were gone before the trigger read or ran them, by `reason`: `retention`.", .counter,
        labels: function + ["trigger", "reason"])
    static let unsettled = MetricDescription(
        "apus_trigger_unsettled", "Records that were read and are not settled: they wait, run or are retried.", .gauge,
        labels: function + ["trigger"])

    static let unsent = MetricDescription(
        "apus_unsent_total",
        "Attempts whose worker was gone before anything was written to it; they went back to where they waited.",
        .counter)
    static let skipped = MetricDescription(
        "apus_trigger_skipped_total",
        "Records settled without an attempt, by `reason`: `filter`, `duplicate`, `expired`, `superseded`, `poison` or `lost`.",
        .counter, labels: function + ["trigger", "reason"])
    static let split = MetricDescription(
        "apus_trigger_batch_failures_total",
        "Attempts that failed with their batch; each event ran again in half of one.", .counter,
        labels: function + ["trigger"])
    static let waiting = MetricDescription(
        "apus_trigger_waiting", "Records that may run and wait for a worker: demand above `scale.max`, or starts.",
        .gauge,
        labels: function + ["trigger"])
    static let commitsFailed = MetricDescription(
        "apus_log_commits_failed_total", "Writes of outcomes and positions that failed; each is tried again.", .counter)

    // Where time goes.
    static let queued = MetricDescription(
        "apus_queued_seconds",
        "What first attempts waited for a worker, from append or call to dispatch, starts apart.",
        seconds, labels: function, seriesMax: Limits.Telemetry.histogramsPerMetric)
    static let starting = MetricDescription(
        "apus_starting_seconds", "What workers took from their order to being ready: cold starts.", seconds,
        labels: function, seriesMax: Limits.Telemetry.histogramsPerMetric)
    static let startPhase = MetricDescription(
        "apus_start_phase_seconds",
        "The phases of cold starts: `launching` is sandbox and interpreter, `loading` the function's code.", seconds,
        labels: ["phase"])
    static let running = MetricDescription(
        "apus_running_seconds", "What attempts ran, from dispatch to outcome.", seconds, labels: function,
        seriesMax: Limits.Telemetry.histogramsPerMetric)
    static let committing = MetricDescription(
        "apus_committing_seconds", "From the first outcome of a write to its durability.", seconds)
    static let httpSeconds = MetricDescription(
        "apus_http_request_seconds",
        "From the head of a request to that of its answer, by operation (as in `/openapi.json`) and class of status.",
        seconds, labels: ["operation", "status"])

    // Requests of agents, by the names of OpenTelemetry's conventions for MCP.
    static let operationSeconds = MetricDescription(
        "mcp_server_operation_duration_seconds",
        "What requests of agents took, by `method`, by `tool` where one was called, and by `status`: `ok`, `tool_error`, `error`, "
            + "`input_required` or `cancelled`. Streams that listen are none of them.",
        seconds, labels: ["method", "namespace", "tool", "status"], seriesMax: Limits.Telemetry.histogramsPerMetric)
    static let tasks = MetricDescription(
        "apus_mcp_tasks",
        "Tasks of agents that are kept, by `state`: `working`, `input_required` (for its caller, or for somebody's approval), `completed` (its own "
            + "errors included), `failed` or `cancelled`. Of several servers on one log each counts all of them.",
        .gauge, labels: ["state"])
    static let operationsRefused = MetricDescription(
        "apus_mcp_refused_total",
        "Requests of agents that were refused, by `reason`: `arguments`, a bound of their caller as `callsPerMinute`, or the error that was "
            + "answered as `invalidParams`.",
        .counter, labels: ["reason"])

    // Workers.
    static let poolHits = MetricDescription(
        "apus_pool_hits_total", "Invocations with `reuse: never` that found a fresh worker ready.", .counter,
        labels: function)
    static let poolMisses = MetricDescription(
        "apus_pool_misses_total", "Invocations with `reuse: never` that waited for their worker's start.", .counter,
        labels: function)
    static let workers = MetricDescription("apus_workers", "Workers that exist now.", .gauge)
    static let instances = MetricDescription(
        "apus_instances", "Workers by function and state.", .gauge, labels: function + ["state"])
    static let started = MetricDescription("apus_workers_started_total", "Workers that were ordered.", .counter)
    static let startsFailed = MetricDescription(
        "apus_worker_starts_failed_total", "Starts of workers that failed.", .counter)
    static let protocolErrors = MetricDescription(
        "apus_protocol_errors_total", "Workers killed for violating the worker protocol.", .counter)
    static let denials = MetricDescription(
        "apus_sandbox_denials_total",
        "What sandboxes refused, by system call, `resource:…` or `trip-wire`.", .counter, labels: function + ["call"])
    static let unaudited = MetricDescription(
        "apus_sandbox_unaudited_total", "Workers of which nobody counted what they were denied.", .counter)
    static let auditors = MetricDescription(
        "apus_sandbox_auditors_total", "Auditors of denied calls that were started.", .counter)
    static let auditor = MetricDescription(
        "apus_sandbox_auditor", "1 while an auditor counts what sandboxes are denied.", .gauge)
    static let linesDropped = MetricDescription(
        "apus_function_log_lines_dropped_total", "Lines functions printed that were dropped.", .counter)

    // Egress.
    static let egressConnections = MetricDescription(
        "apus_egress_connections_total",
        "Connections that functions asked for, by `result`: `allowed`, `refused` or `failed`.", .counter,
        labels: ["result"])
    static let egressBytes = MetricDescription(
        "apus_egress_bytes_total",
        "Bytes of functions' connections that have ended, by `direction`: `sent` or `received`.",
        .counter, labels: ["direction"])
    static let egressUntold = MetricDescription(
        "apus_egress_records_dropped_total", "Records about connections that were too many to be told.", .counter)
    static let egressRunning = MetricDescription(
        "apus_egress_running", "1 while the egress process runs; it does once a function needs it.", .gauge)
    static let egressRestarts = MetricDescription(
        "apus_egress_restarts_total", "Times that the egress process ended and was started again.", .counter)
    static let egressWorkers = MetricDescription("apus_egress_workers", "Workers with a way out.", .gauge)

    // HTTP.
    static let httpRequests = MetricDescription("apus_http_requests_total", "Requests that were read.", .counter)
    static let httpRefused = MetricDescription(
        "apus_http_refused_total", "Requests refused before their handler ran.", .counter)
    static let unauthenticated = MetricDescription(
        "apus_http_unauthenticated_total", "Requests without a token that holds.", .counter)
    static let forbidden = MetricDescription(
        "apus_http_forbidden_total", "Requests whose token lacks the role.", .counter)
    static let httpDropped = MetricDescription(
        "apus_http_dropped_total", "Connections broken off: too slow, or a body beyond its bound.", .counter)
    static let httpAccepted = MetricDescription(
        "apus_http_connections_total", "Connections that were accepted.", .counter)
    static let httpConnections = MetricDescription(
        "apus_http_connections", "Connections that are open now.", .gauge)

    // The log.
    static let room = MetricDescription(
        "apus_log_room_bytes", "Bytes that may still be written before the log refuses.", .gauge)
    static let capacity = MetricDescription(
        "apus_log_capacity_bytes", "What the log may grow to in all.", .gauge)
    static let file = MetricDescription("apus_log_file_bytes", "Size of the log's file.", .gauge)
    static let short = MetricDescription(
        "apus_log_short", "1 while producers are refused for want of room.", .gauge)
    static let commits = MetricDescription("apus_log_commits_total", "Transactions committed.", .counter)
    static let records = MetricDescription("apus_log_records_total", "Records appended.", .counter)
    static let keys = MetricDescription(
        "apus_log_keys", "Idempotency and deduplication keys that are known now.", .gauge)
    static let keysForgotten = MetricDescription(
        "apus_log_keys_forgotten_total", "Keys forgotten before their time, for want of room.", .counter)
    static let topicRecords = MetricDescription(
        "apus_topic_records_total", "Records appended to a topic since the start.", .counter, labels: topic)
    static let topicBytes = MetricDescription(
        "apus_topic_bytes_total", "Bytes of records appended to a topic since the start.", .counter, labels: topic)

    // The log on Kafka, by the part that a client plays in it.
    private static let client = ["client"]
    static let kafkaBrokers = MetricDescription(
        "apus_kafka_brokers_up", "Brokers that a client is connected to.", .gauge, labels: client)
    static let kafkaRoundTrip = MetricDescription(
        "apus_kafka_round_trip_seconds", "Mean time to the answer of the slowest broker.", .gauge, labels: client)
    static let kafkaFailed = MetricDescription(
        "apus_kafka_requests_failed_total", "Requests that failed, were tried again or not answered in time.", .counter,
        labels: client)
    static let kafkaWaiting = MetricDescription(
        "apus_kafka_waiting_records", "Records that wait for their acknowledgement.", .gauge, labels: client)
    static let kafkaWaitingBytes = MetricDescription(
        "apus_kafka_waiting_bytes", "Bytes that wait for their acknowledgement.", .gauge, labels: client)
    static let kafkaFetched = MetricDescription(
        "apus_kafka_fetched_bytes", "Bytes that were fetched ahead and not yet taken.", .gauge, labels: client)
    static let kafkaTransactional = MetricDescription(
        "apus_kafka_transactional", "1 while a transactional producer may write; 0 once it was fenced or failed.",
        .gauge,
        labels: client)

    // Schedules.
    static let schedules = MetricDescription("apus_schedules", "Scheduled triggers.", .gauge)
    static let scheduleFired = MetricDescription(
        "apus_schedule_fired_total", "Firings that became invocations.", .counter)
    static let scheduleSkipped = MetricDescription(
        "apus_schedule_skipped_total", "Times that were missed and left out.", .counter)
    static let scheduleRefused = MetricDescription(
        "apus_schedule_refused_total", "Attempts to fire that were refused; each is tried again.", .counter)

    // Servers that share a log.
    static let commandsDecided = MetricDescription(
        "apus_commands_decided_total", "Control writes that this server decided for all, refusals counted.", .counter)
    static let commandsUnanswered = MetricDescription(
        "apus_commands_unanswered_total", "Control writes asked for here that nobody answered in time.", .counter)
    static let controlIgnored = MetricDescription(
        "apus_control_records_ignored_total",
        "Records of control topics that no server of this cluster wrote, or that are older than what is deployed.",
        .counter)
    static let controlRepaired = MetricDescription(
        "apus_control_records_repaired_total", "Control records that were written again or sealed anew.", .counter)

    // Telemetry itself.
    static let spans = MetricDescription(
        "apus_spans_total", "Spans by what became of them: `exported` or `dropped`.", .counter, labels: ["result"])
    static let tracesDropped = MetricDescription(
        "apus_traces_untraced_total", "Sampled deliveries that were not traced, for want of room.", .counter)

    // The process, by the names that Prometheus' own libraries use.
    static let cpu = MetricDescription(
        "process_cpu_seconds_total", "CPU time of the server's process, without its workers.", .counter)
    static let resident = MetricDescription("process_resident_memory_bytes", "Resident memory.", .gauge)
    static let virtual = MetricDescription(
        "process_virtual_memory_bytes", "Address space; the log is mapped whole.", .gauge)
    static let descriptors = MetricDescription("process_open_fds", "Open file descriptors.", .gauge)
    static let descriptorsMax = MetricDescription("process_max_fds", "The limit of open file descriptors.", .gauge)
    static let threads = MetricDescription("process_threads", "Threads.", .gauge)
    static let startTime = MetricDescription(
        "process_start_time_seconds", "When the server started, in seconds since 1970.", .gauge)
    static let build = MetricDescription(
        "apus_build_info", "1, with the version as label.", .gauge, labels: ["version"])
    static let functions = MetricDescription("apus_functions", "Functions that are deployed.", .gauge)

    // Several nodes on one log.
    static let shareTerms = MetricDescription(
        "apus_share_terms_total",
        "How often shares began to be worked by this server, by class: a rebalance, a take-over or a new beginning after a failure.",
        .counter, labels: ["class"])
    static let shares = MetricDescription(
        "apus_shares", "Parts of the work that this server holds, by class and state; none where it does all of it.",
        .gauge, labels: ["class", "state"])

    // Retention.
    static let swept = MetricDescription(
        "apus_retention_removed_total", "What retention removed, by kind of thing.", .counter, labels: ["kind"])
    static let sweptBytes = MetricDescription(
        "apus_retention_removed_bytes_total", "Bytes of the disk that retention gave back.", .counter, labels: ["kind"])
    static let sweepsFailed = MetricDescription(
        "apus_retention_failures_total", "Sweeps that failed.", .counter, labels: ["kind"])
    static let kept = MetricDescription(
        "apus_retention_kept", "What is left after the last sweep.", .gauge, labels: ["kind"])
    static let keptBytes = MetricDescription(
        "apus_retention_kept_bytes", "Bytes of the disk that it takes, where they are known.", .gauge, labels: ["kind"])
    static let lastSweep = MetricDescription(
        "apus_retention_last_sweep_seconds", "When it was last swept, Unix time.", .gauge, labels: ["kind"])

    // Approvals.
    static let approvals = MetricDescription(
        "apus_approvals_total", "Approvals of calls that were `requested`, `accepted`, `declined`, `consumed` or that `expired`, here.",
        .counter, labels: ["event"])
    static let approvalsWaiting = MetricDescription(
        "apus_approvals_waiting", "Calls that wait for somebody to let them begin, on the whole log.", .gauge)

    // Devices.
    private static let device = ["device", "kind", "simulated"]
    static let devices = MetricDescription(
        "apus_devices", "Devices, by `health`: `working`, `draining`, `quarantined` or `lost`.", .gauge,
        labels: ["kind", "health", "simulated"])
    static let deviceMemory = MetricDescription(
        "apus_device_memory_bytes",
        "Bytes of a device, by `part`: its `capacity`, what is `used`, and of that what is `ours` and what `others` hold.",
        .gauge, labels: device + ["part"])
    static let deviceSeconds = MetricDescription(
        "apus_device_seconds_total",
        "What each second of a device was, by `part`: `busy`, `idle`, `transfer` or `unallocated`; they sum to the time that passed. Told "
            + "once a minute, and when use is asked for.", .counter, labels: device + ["part"])
    static let usageDropped = MetricDescription(
        "apus_usage_dropped_total", "Records of use, and changes of instances, that were not written.", .counter)

    static let all: [MetricDescription] = [
        attempts, succeeded, failed, inFlight, functionAttempts, functionDeadLetters, retries, deadLetters, dropped,
        unsent, requests, replies, emitted, lag, oldest, filtered, filterErrors, recordsLost, unsettled, waiting,
        skipped, split, queued,
        starting, startPhase, running, committing, httpSeconds, operationSeconds, operationsRefused, tasks,
        poolHits, poolMisses, workers, instances, started, startsFailed, protocolErrors, denials, unaudited,
        auditors, auditor, linesDropped, egressConnections, egressBytes, egressUntold, egressRunning, egressRestarts,
        egressWorkers, httpRequests,
        httpRefused, httpDropped,
        unauthenticated, forbidden,
        httpAccepted, httpConnections, room, capacity, file, short, commits, commitsFailed, records, keys,
        keysForgotten,
        topicRecords, topicBytes, kafkaBrokers, kafkaRoundTrip, kafkaFailed, kafkaWaiting, kafkaWaitingBytes,
        kafkaFetched,
        kafkaTransactional,
        schedules, commandsDecided, commandsUnanswered, controlIgnored, controlRepaired,
        scheduleFired, scheduleSkipped, scheduleRefused, swept, sweptBytes, sweepsFailed, kept, keptBytes, lastSweep,
        approvals, approvalsWaiting, spans,
        tracesDropped, devices, deviceMemory, deviceSeconds, usageDropped, cpu, resident, virtual, descriptors,
        descriptorsMax, threads, startTime, build, functions,
        shares, shareTerms,
    ]

    /// The table of the documentation.
    static var table: String {
        let rows = self.all.map { metric in
            let labels = metric.labels.isEmpty ? "" : metric.labels.map { "`\($0)`" }.joined(separator: ", ")
            return "| `\(metric.name)` | \(metric.kind.word) | \(labels) | \(metric.help) |"
        }
        return (["| name | type | labels | meaning |", "|---|---|---|---|"] + rows).joined(separator: "\n")
    }
}

extension LatencyHistogram {
    /// The buckets that are shown: 64 us to 67 s, each twice the one before.
    private static let shown = 6...26

    /// Their bounds in seconds.
    static let bounds: [Double] = Self.shown.map { Double(1 << $0) / 1e6 }

    /// What fell to each, the last above all.
    var shownCounts: [UInt64] {
        let buckets = self.buckets
        var counts = Self.shown.map { buckets[$0] }
        counts[0] += buckets[..<Self.shown.lowerBound].reduce(0, +)
        counts.append(buckets[(Self.shown.upperBound + 1)...].reduce(0, +))
        return counts
    }
}
