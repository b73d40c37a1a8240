public import ApusCore

extension ErrorCode {
    /// The status an error is answered with; 500 for what has no row in the table.
    public var httpStatus: UInt32 { ErrorCode.statuses[self] ?? 500 }

    /// One row per code; a test holds the table complete.
    static let statuses: [ErrorCode: UInt32] = [
        .invalidArgument: 400, .manifestInvalid: 422, .importFailed: 422, .notYetSupported: 422, .invalidEvent: 400,
        .invalidJSON: 400,
        .reservedName: 400, .eventTooLarge: 413, .bodyTooLarge: 413, .resultTooLarge: 502, .unsupportedMediaType: 415,
        .methodNotAllowed: 405, .unauthenticated: 401, .forbidden: 403, .hostNotAllowed: 421,

        .notFound: 404, .functionNotFound: 404, .topicNotFound: 404, .deadLetterNotFound: 404, .bundleNotFound: 404,
        .invocationNotFound: 404, .revisionNotFound: 404, .secretNotFound: 404,
        .alreadyExists: 409, .conflict: 409,

        .functionFailed: 502, .functionRejected: 422, .deadlineExceeded: 504, .workerCrashed: 502, .protocolError: 502,
        .startFailed: 502, .tableFailed: 502, .memoryExceeded: 502, .emitRefused: 502, .hopsExceeded: 422,
        .recordExpired: 410, .cancelled: 409,

        .overloaded: 503, .queueFull: 429, .shuttingDown: 503, .notReady: 503, .expired: 504, .commandUnanswered: 504,
        .functionPaused: 409,
        .secretUnavailable: 503,
        .serverUnreachable: 502,

        .logFull: 507, .diskFull: 507, .logDamaged: 500, .logFormat: 500, .logFailed: 500, .limitReached: 507,
        .dataDirectoryInUse: 500, .dataDirectoryInvalid: 500, .backupInvalid: 422, .backupFormat: 422,
        .offsetOutOfRange: 416,

        .configurationInvalid: 500, .portInUse: 500, .addressNotAllowed: 500, .needsRoot: 500, .runtimeMissing: 503,
        .sandboxUnavailable: 503,
        .noSlot: 503, .buildFailed: 422, .weightsUnavailable: 503, .bundleInvalid: 422, .bundleTooLarge: 413, .projectionFailed: 500,

        .internal: 500,
    ]
}
