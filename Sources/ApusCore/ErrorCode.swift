/// The stable codes of ``ApusError``, written in snake case as users see them.
///
/// A code is never renamed and never reused. Adding one is not a breaking change; each has a page `docs/errors/<code>.md`.
public enum ErrorCode: String, Sendable, Hashable, CaseIterable, CustomStringConvertible {
    // What a caller sent.
    case invalidArgument = "invalid_argument"
    case manifestInvalid = "manifest_invalid"
    case notYetSupported = "not_yet_supported"
    case invalidEvent = "invalid_event"
    case invalidJSON = "invalid_json"
    case reservedName = "reserved_name"
    case importFailed = "import_failed"
    case eventTooLarge = "event_too_large"
    case bodyTooLarge = "body_too_large"
    case resultTooLarge = "result_too_large"
    case unsupportedMediaType = "unsupported_media_type"
    case methodNotAllowed = "method_not_allowed"
    case unauthenticated = "unauthenticated"
    case forbidden = "forbidden"
    case hostNotAllowed = "host_not_allowed"

    // What does not exist, or exists already.
    case notFound = "not_found"
    case functionNotFound = "function_not_found"
    case topicNotFound = "topic_not_found"
    case deadLetterNotFound = "dead_letter_not_found"
    case bundleNotFound = "bundle_not_found"
    case invocationNotFound = "invocation_not_found"
    case revisionNotFound = "revision_not_found"
    case secretNotFound = "secret_not_found"
    case alreadyExists = "already_exists"
    case conflict = "conflict"

    // How an attempt ended.
    case functionFailed = "function_failed"
    case functionRejected = "function_rejected"
    case deadlineExceeded = "deadline_exceeded"
    case workerCrashed = "worker_crashed"
    case protocolError = "protocol_error"
    case startFailed = "start_failed"
    case tableFailed = "table_failed"
    case memoryExceeded = "memory_exceeded"
    case emitRefused = "emit_refused"
    case hopsExceeded = "hops_exceeded"
    case recordExpired = "record_expired"
    case cancelled = "cancelled"

    // What the server cannot do now.
    case overloaded = "overloaded"
    case queueFull = "queue_full"
    case shuttingDown = "shutting_down"
    case notReady = "not_ready"
    case expired = "expired"
    case commandUnanswered = "command_unanswered"
    case functionPaused = "function_paused"
    case secretUnavailable = "secret_unavailable"
    case serverUnreachable = "server_unreachable"

    // The event log and the data directory.
    case logFull = "log_full"
    case diskFull = "disk_full"
    case logDamaged = "log_damaged"
    case logFormat = "log_format"
    case logFailed = "log_failed"
    case limitReached = "limit_reached"
    case dataDirectoryInUse = "data_directory_in_use"
    case dataDirectoryInvalid = "data_directory_invalid"
    case backupInvalid = "backup_invalid"
    case backupFormat = "backup_format"
    case offsetOutOfRange = "offset_out_of_range"

    // The machine.
    case configurationInvalid = "configuration_invalid"
    case portInUse = "port_in_use"
    case addressNotAllowed = "address_not_allowed"
    case needsRoot = "needs_root"
    case runtimeMissing = "runtime_missing"
    case sandboxUnavailable = "sandbox_unavailable"
    case noSlot = "no_slot"
    case buildFailed = "build_failed"
    case weightsUnavailable = "weights_unavailable"
    case bundleInvalid = "bundle_invalid"
    case bundleTooLarge = "bundle_too_large"
    case projectionFailed = "projection_failed"

    /// An error of ours: a bug to report.
    case `internal` = "internal"

    public var description: String { self.rawValue }
}
