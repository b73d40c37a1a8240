import ApusCore
import ApusManifest
import Glibc
import Testing

@testable import apus

/// What `apus init` makes.
@Suite struct InitTests {
    let fixture = CommandFixture()

    private static let all = FunctionTemplate.Runtime.allCases.flatMap { runtime in
        FunctionTemplate.Trigger.allCases.map { (runtime, $0) }
    }

    @Test(arguments: Self.all)
    func everyTemplateIsAManifestThatParses(_ runtime: FunctionTemplate.Runtime, _ trigger: FunctionTemplate.Trigger)
        throws
    {
        let folder = "\(self.fixture.folder)/hello"
        let code = self.fixture.run(
            "init", "hello", "--runtime", runtime.rawValue, "--trigger", trigger.rawValue, "--folder", folder)
        try #require(code == 0, "\(self.fixture.terminal.errors)")
        let found = try ManifestFiles(namespace: .default).read([folder])
        let functions = found.compactMap { if case .function(let function) = $0.manifest { function } else { nil } }
        let function = try #require(functions.first)
        #expect(functions.count == 1 && function.name.name == "hello" && function.runtime.rawValue == runtime.rawValue)
        #expect(function.triggers.count == (trigger == .topic ? 1 : 0))
        #expect(function.httpTriggers.count == (trigger == .http ? 1 : 0))
        #expect(function.scheduleTriggers.count == (trigger == .schedule ? 1 : 0))
        #expect(function.tool?.name == (trigger == .tool ? "hello" : nil))
        #expect(found.count == (trigger == .topic ? 3 : 1))
        // Its README names commands that there are.
        let readme = String(
            decoding: try DataArgument.readFile("\(folder)/README.md", limit: 1 << 16), as: UTF8.self)
        for line in readme.split(separator: "\n") where line.hasPrefix("apus ") {
            let name = line.split(separator: " ")[1]
            #expect(CommandTable.all.contains { $0.description.name == name }, "\(line)")
        }
    }

    @Test func whatIsThereIsNotOverwritten() {
        let path = self.fixture.write("taken/file", "x")
        #expect(self.fixture.run("init", "hello", "--folder", String(path.dropLast(5))) == 1)
        #expect(self.fixture.terminal.errors.contains("already_exists"))
        #expect(self.fixture.run("init", "Not-A-Name") == 2)
        #expect(self.fixture.run("init", "x", "--runtime", "pyhton3") == 2)
        #expect(self.fixture.terminal.errors.contains("did you mean 'python3'?"))
    }
}
