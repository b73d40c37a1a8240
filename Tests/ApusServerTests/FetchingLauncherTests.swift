import ApusCore
import ApusLoop
import ApusManifest
import ApusTestSupport
import Glibc
import Synchronization
import Testing

@testable import ApusServer
@testable import ApusStore

@Suite struct FetchingLauncherTests {
    private static let bundle = String(repeating: "a", count: 64)
    private static let layer = String(repeating: "b", count: 64)

    private static func order(layer: String = "") -> LaunchOrder {
        LaunchOrder(runtime: .python, bundle: Self.bundle, layer: layer)
    }

    /// What a launcher answered, on the loop.
    private final class Heard { var errors: [ErrorCode?] = [] }

    private static func folder() -> ScratchDirectory {
        let folder = ScratchDirectory("files")
        for name in ["bundles", "layers"] { #expect(mkdir("\(folder.path)/\(name)", 0o755) == 0) }
        return folder
    }

    private static func manifest() throws -> FunctionManifest {
        let yaml = """
            apiVersion: apus.dev/v1
            kind: Function
            metadata: {name: worker}
            spec: {runtime: python3, handler: "main:handle", source: ., dependencies: requirements.txt}
            """
        guard case .function(let function) = try #require(try Manifest.parse(yaml, file: "t.yaml").first) else {
            throw ApusError(.internal, "no function")
        }
        return function
    }

    @Test func aWorkerWhoseFilesAreThereStartsAtOnceAndOneWithoutABundleToo() async throws {
        let folder = Self.folder()
        let bed = LoopBed()
        #expect(mkdir("\(folder.path)/bundles/\(Self.bundle)", 0o755) == 0)
        let files = FunctionFiles(dataDirectory: folder.path, topic: nil)
        let count = await bed.run { () -> Int in
            let fake = FakeLauncher()
            let launcher = FetchingLauncher(fake, files: files, loop: bed.loop)
            launcher.launch(Self.order()) { _ in }
            launcher.launch(LaunchOrder(runtime: .egress, bundle: "")) { _ in }
            return fake.orders.count
        }
        #expect(count == 2)
        bed.loop.stop()
    }

    @Test func aLayerThatIsMissingIsBuiltOnceForAllWhoWait() async throws {
        let folder = Self.folder()
        let bed = LoopBed()
        #expect(mkdir("\(folder.path)/bundles/\(Self.bundle)", 0o755) == 0)
        let files = FunctionFiles(dataDirectory: folder.path, topic: nil)
        let builds = Mutex<[@Sendable (ApusError?) -> Void]>([])
        let function = try Self.manifest()
        files.bind {
            $0 == Self.layer ? LayerSource(function: function, bundle: Self.bundle) : nil
        } build: {
            source, layer, completion in
            #expect(source.bundle == Self.bundle && layer == Self.layer)
            builds.withLock { $0.append(completion) }
        }
        // SAFETY: touched on the loop only.
        nonisolated(unsafe) let fake = FakeLauncher()
        let launcher = FetchingLauncher(fake, files: files, loop: bed.loop)
        await bed.run {
            for _ in 0..<3 { launcher.launch(Self.order(layer: Self.layer)) { _ in } }
        }
        #expect(builds.withLock { $0.count } == 1)
        #expect(await bed.run { fake.orders.isEmpty })
        #expect(mkdir("\(folder.path)/layers/\(Self.layer)", 0o755) == 0)
        builds.withLock { $0[0] }(nil)
        try await bed.until("all three start") { fake.orders.count == 3 }
        bed.loop.stop()
    }

    @Test func aWorkerWhoseFilesCannotBeHadFailsAndSoDoesOneThatStillWaitsAtTheEnd() async throws {
        let folder = Self.folder()
        let bed = LoopBed()
        let files = FunctionFiles(dataDirectory: folder.path, topic: nil)
        // SAFETY: touched on the loop only.
        nonisolated(unsafe) let (fake, heard) = (FakeLauncher(), Heard())
        let launcher = FetchingLauncher(fake, files: files, loop: bed.loop)
        let note: (Result<LaunchedWorker, ApusError>) -> Void = { result in
            if case .failure(let error) = result { heard.errors.append(error.code) } else { heard.errors.append(nil) }
        }
        await bed.run { launcher.launch(Self.order(), note) }
        try await bed.until("it is told") { heard.errors == [.bundleNotFound] }

        #expect(mkdir("\(folder.path)/bundles/\(Self.bundle)", 0o755) == 0)
        let function = try Self.manifest()
        files.bind { _ in
            LayerSource(function: function, bundle: Self.bundle)
        } build: { _, _, _ in
        }
        await bed.run {
            launcher.launch(Self.order(layer: Self.layer), note)
            launcher.close()
            launcher.launch(Self.order(layer: Self.layer), note)
        }
        #expect(await bed.run { heard.errors == [.bundleNotFound, .shuttingDown, .overloaded] })
        #expect(await bed.run { fake.orders.isEmpty })
        bed.loop.stop()
    }

    @Test func whoeverWaitsAboveTheBoundIsRefused() throws {
        let folder = Self.folder()
        #expect(mkdir("\(folder.path)/bundles/\(Self.bundle)", 0o755) == 0)
        let files = FunctionFiles(dataDirectory: folder.path, topic: nil)
        let function = try Self.manifest()
        files.bind { _ in
            LayerSource(function: function, bundle: Self.bundle)
        } build: { _, _, _ in
        }
        let refused = Mutex(0)
        for _ in 0...Limits.Server.waitingForFiles {
            files.bring(bundle: Self.bundle, layer: Self.layer) { error in
                #expect(error?.code == .overloaded)
                refused.withLock { $0 += 1 }
            }
        }
        #expect(refused.withLock { $0 } == 1)
    }
}
