/// What a listener that ends TLS shows to its clients, and proves to be its own: both in PEM, the certificate with its chain.
public struct HTTPCertificate: Sendable, Equatable {
    public var chain: [UInt8]
    public var key: [UInt8]

    public init(chain: [UInt8], key: [UInt8]) {
        self.chain = chain
        self.key = key
    }
}
