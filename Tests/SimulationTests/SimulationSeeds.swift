import FoundationEssentials

/// `APUS_SEED` repeats one run, `APUS_SEEDS` says how many to try.
enum SimulationSeeds {
    private static let environment = ProcessInfo.processInfo.environment
    /// As many run side by side as there are cores.
    private static let partsCount: UInt64 = 4

    /// The seeds in parts, each a test of its own.
    static func parts(_ count: Int) -> [Range<UInt64>] {
        if let seed = Self.one { return [seed..<seed + 1] }
        let size = max(1, UInt64(Self.environment["APUS_SEEDS"].flatMap(Int.init) ?? count) / Self.partsCount)
        return (0..<Self.partsCount).map { 1 + $0 * size..<1 + ($0 + 1) * size }
    }

    /// Not one run alone.
    static var isWhole: Bool { Self.one == nil }

    /// A repeated run says all that happens.
    static var trace: ((String) -> Void)? { Self.one == nil ? nil : { print($0) } }

    private static var one: UInt64? { Self.environment["APUS_SEED"].flatMap(UInt64.init) }
}
