public import ApusCore

/// One thing that is wrong with a manifest.
public struct ManifestError: Error, Sendable, Equatable, CustomStringConvertible {
    /// `manifest_invalid`, `reserved_name` or `not_yet_supported`.
    public let code: ErrorCode
    /// Nil when the manifest came as JSON.
    public let location: SourceLocation?
    /// What is wrong, what was expected, and what may have been meant.
    public let message: String

    init(_ code: ErrorCode, _ location: SourceLocation?, _ message: String) {
        self.code = code
        self.location = location
        self.message = message
    }

    /// `file:line:column: message`.
    public var description: String { self.location.map { "\($0): \(self.message)" } ?? self.message }
}

/// All that is wrong with the manifests of one file, in the order of the file.
public struct ManifestErrors: Error, Sendable, Equatable, CustomStringConvertible {
    /// At most ``Limits/Manifest/errors``, never empty.
    public let errors: [ManifestError]
    /// How many more there are.
    public let omitted: Int

    init(_ errors: [ManifestError]) {
        let sorted = errors.enumerated().sorted { left, right in
            let leftKey = (left.element.location?.line ?? 0, left.element.location?.column ?? 0, left.offset)
            let rightKey = (right.element.location?.line ?? 0, right.element.location?.column ?? 0, right.offset)
            return leftKey < rightKey
        }
        self.errors = sorted.prefix(Limits.Manifest.errors).map(\.element)
        self.omitted = max(0, errors.count - Limits.Manifest.errors)
    }

    /// A line for each.
    public var description: String {
        let more = self.omitted > 0 ? ["… and \(self.omitted) more"] : []
        return (self.errors.map(\.description) + more).joined(separator: "\n")
    }

    /// The same as one error, with the code of the gravest: a manifest that is wrong before one that is only ahead of
    /// its time.
    public var asApusError: ApusError {
        let codes = self.errors.map(\.code)
        let code = [.manifestInvalid, .reservedName].first(where: codes.contains) ?? codes.first ?? .manifestInvalid
        return ApusError(code, self.description, cause: self)
    }
}
