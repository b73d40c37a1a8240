import ApusCore
import ApusLog
import ApusTestSupport
import Testing

@Suite struct ContractTests {
    @Test(arguments: EventLogContract.all)
    func embeddedLogKeeps(_ promise: EventLogContract.Promise) throws {
        for durability in EmbeddedLogConfiguration.Durability.allCases {
            let scratch = ScratchDirectory("contract")
            let make: @Sendable (ManualClock) throws -> any EventLog = { clock in
                try EmbeddedLog(directory: scratch.path, configuration: smallConfiguration(durability)) { clock.now }
            }
            try promise.check(
                EventLogContract.Factory(tombstoneTime: .seconds(3_600), make: make) { log, clock in
                    log.close()
                    return try make(clock)
                }
            )
        }
    }

    @Test(arguments: EventLogContract.all)
    func memoryLogKeeps(_ promise: EventLogContract.Promise) throws {
        try promise.check(
            EventLogContract.Factory(tombstoneTime: .seconds(3_600)) { clock in
                MemoryLog(tombstoneTime: .seconds(3_600)) { clock.now }
            }
        )
    }
}

/// A log for tests: a small map, no disk floor, retention that looks often.
func smallConfiguration(
    _ durability: EmbeddedLogConfiguration.Durability = .fsync, mapBytes: Int = 64 << 20
) -> EmbeddedLogConfiguration {
    var configuration = EmbeddedLogConfiguration(bootID: "this boot")
    configuration.durability = durability
    configuration.mapBytes = mapBytes
    configuration.diskFloorBytes = 0
    configuration.maintenanceInterval = .milliseconds(5)
    configuration.maintenanceStepRecords = 7
    configuration.tombstoneTime = .seconds(3_600)
    return configuration
}
