import ApusCore
import ApusTestSupport
import Glibc
import Testing

@testable import apus

struct CompletionTests {
    private static let completion = Completion(commands: CommandTable.all.map(\.description))

    private static func words(_ line: String...) -> [String] {
        guard case .words(let candidates) = Self.completion.answer(line) else { return [] }
        return candidates.map(\.word)
    }

    @Test func commandsAreOfferedByTheirBeginning() {
        #expect(Self.words("dep") == ["deploy"])
        #expect(Self.words("").count == CommandTable.all.count)
        #expect(Self.words("-n", "team", "dep") == ["deploy"])
        #expect(Self.words("--ser") == ["--server"])
    }

    @Test func subcommandsAndOptionsAreOffered() {
        #expect(Self.words("dead", "re") == ["redrive"])
        #expect(Self.words("deploy", "--dry") == ["--dry-run"])
        #expect(Self.words("deploy", "--dry-run", ".", "--dry") == [])
    }

    @Test func valuesAreOffered() {
        #expect(Self.words("get", "functions", "--output", "j") == ["json"])
        #expect(Self.words("get", "functions", "--output=y") == ["yaml"])
        #expect(Self.words("completion", "") == ["bash", "zsh", "fish"])
        #expect(Self.words("logs", "f", "--level", "w") == ["warning"])
        #expect(Self.words("logs", "f", "--in") == ["--invocation"])
        #expect(Self.words("top", "--sort", "l") == ["lag"])
        #expect(Self.words("init", "x", "--runtime", "n") == ["node", "native"])
        #expect(Self.words("invoke", "f", "--ti") == ["--timing"])
        #expect(Self.completion.answer(["deploy", ""]) == .files)
        #expect(Self.completion.answer(["deploy", "a", "b", ""]) == .files)
        #expect(Self.completion.answer(["invoke", ""]) == .named(.functions))
        #expect(Self.completion.answer(["invoke", "--data", ""]) == .files)
        #expect(Self.completion.answer(["invoke", "--data", "x", ""]) == .named(.functions))
        #expect(Self.completion.answer(["invoke", "echo", ""]) == .nothing)
    }

    @Test func unknownWordsOfferNothing() {
        #expect(Self.words("nonsense", "x") == [])
        #expect(
            Self.completion.answer([])
                == .words(CommandTable.all.map { .init(word: $0.description.name, summary: $0.description.summary) }))
    }

    /// Every command completes: no description leads the way into a trap.
    @Test func everyCommandAnswers() {
        for command in CommandTable.all.map(\.description) {
            #expect(Self.words(command.name).contains(command.name))
            let paths =
                command.subcommands.isEmpty ? [[command.name]] : command.subcommands.map { [command.name, $0.name] }
            for path in paths {
                guard case .words(let options) = Self.completion.answer(path + ["--"]) else {
                    Issue.record("\(path) offers no options")
                    continue
                }
                #expect(options.contains { $0.word == "--help" })
            }
        }
    }

    @Test(arguments: ["bash", "zsh", "fish"]) func scriptsAreValidForTheirShell(_ shell: String) throws {
        guard Self.has(shell) else { return }
        let path = "/tmp/apus-completion-\(getpid()).\(shell)"
        try writeFile(path, CompletionScript.of(shell))
        defer { unlink(path) }
        let child = try ChildProcess(shell, ["-n", path], in: "/tmp")
        #expect(child.wait(seconds: 20) == 0, "\(child.errors)")
    }

    /// A folder with a program named apus that answers `get fun`, and the script of a shell.
    private static func withProgram(_ shell: String, _ body: (String) throws -> Void) throws {
        let folder = "/tmp/apus-completion-\(getpid())-\(shell)"
        mkdir(folder, 0o755)
        defer { _ = try? ChildProcess("/bin/rm", ["-rf", folder], in: "/tmp").wait(seconds: 10) }
        try writeFile(
            "\(folder)/apus",
            "#!/bin/sh\n[ \"$*\" = 'complete -- get fun' ] && printf 'functions\\tall of them\\nfunction\\n'\n")
        chmod("\(folder)/apus", 0o755)
        try writeFile("\(folder)/apus.\(shell)", CompletionScript.of(shell))
        try body(folder)
    }

    private static func has(_ shell: String) -> Bool {
        let isThere = access("/bin/\(shell)", X_OK) == 0 || access("/usr/bin/\(shell)", X_OK) == 0
        if !isThere { print("skipped: there is no \(shell) here") }
        return isThere
    }

    /// A real bash asks a program named apus and offers what it says.
    @Test func bashOffersWhatApusSays() throws {
        try Self.withProgram("bash") { folder in
            let script =
                "source \(folder)/apus.bash; COMP_WORDS=(apus get fun); COMP_CWORD=2; _apus; printf '%s\\n' \"${COMPREPLY[@]}\""
            let child = try ChildProcess("bash", ["-c", "PATH=\(folder):$PATH; \(script)"], in: "/tmp")
            #expect(child.wait(seconds: 20) == 0)
            #expect(child.output == "functions\nfunction\n")
        }
    }

    @Test func fishOffersWhatApusSays() throws {
        guard Self.has("fish") else { return }
        try Self.withProgram("fish") { folder in
            let script = "set -x PATH \(folder) $PATH; source \(folder)/apus.fish; complete -C 'apus get fun'"
            var environment = currentEnvironment()
            environment["HOME"] = folder
            let child = try ChildProcess(
                "fish", ["--no-config", "-c", script], environment: environment, in: "/tmp")
            #expect(child.wait(seconds: 20) == 0, "\(child.errors)")
            #expect(Set(child.output.split(separator: "\n")) == ["functions\tall of them", "function"])
        }
    }

    /// In a zsh of its own on a pseudo terminal, with a key that lists what fits.
    @Test func zshOffersWhatApusSays() throws {
        guard Self.has("zsh") else { return }
        try Self.withProgram("zsh") { folder in
            let script = """
                zmodload zsh/zpty
                zpty z zsh -f -i
                zpty -w z 'PS1=; PATH=\(folder):$PATH; autoload -Uz compinit; compinit -u -D; source \(folder)/apus.zsh; bindkey "^I" list-choices; LISTMAX=0'
                zpty -w z 'echo rea''dy'
                zpty -r z REPLY '*ready*'
                zpty -n -w z $'apus get fun\t'
                zpty -r z REPLY '*all of them*'
                print -r -- "$REPLY"
                zpty -d z
                """
            var environment = currentEnvironment()
            environment["HOME"] = folder
            environment["TERM"] = "vt100"
            let child = try ChildProcess("zsh", ["-f", "-c", script], environment: environment, in: folder)
            #expect(child.wait(seconds: 30) == 0, "\(child.errors)")
            #expect(child.output.contains("functions") && child.output.contains("all of them"), "\(child.output)")
        }
    }
}
