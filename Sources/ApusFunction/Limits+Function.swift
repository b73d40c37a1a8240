/// Bounds of the SDK's own; those of the protocol are ApusCore's.
enum Limits {
    /// One line of a log.
    static let logBytes = 64 * 1024
    /// A message of an error or of progress, and an error's detail.
    static let messageBytes = 4 * 1024
    static let detailBytes = 16 * 1024
    /// What is read from the server at once.
    static let readBytes = 256 * 1024
    /// Messages on descriptor 5 whose frame has not come yet.
    static let strayDescriptors = 1_024
    /// Secrets of a function, all together.
    static let secretsBytes = 1 << 20
}
