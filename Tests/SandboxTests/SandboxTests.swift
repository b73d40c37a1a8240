import Testing

/// What only root can test: one sandbox after the other, since attacks on the machine's resources would disturb each
/// other.
@Suite(
    "Sandboxes", .serialized, .enabled(if: Laboratory.isRoot, Comment(rawValue: Laboratory.needsRoot)),
    .timeLimit(.minutes(5))
)
enum SandboxTests {}
