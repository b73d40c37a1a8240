public import ApusCore
internal import ApusManifest

extension Catalogue {
    /// A secret as it is sealed.
    public struct Secret: Sendable, Equatable {
        /// Of its record: grows when it is sealed anew, too.
        public let generation: UInt64
        public let sealed: SealedSecret
    }

    /// The functions that are given a secret, or whose requests are, sorted.
    public func users(of secret: SecretName) -> [ResourceName] {
        self.functions.values.filter {
            $0.name.namespace == secret.namespace && $0.manifest.secretUses.contains { $0.name == secret.name }
        }
        .map(\.name).sorted()
    }
}
