internal import ApusCore

extension OperationDescription {
    /// The console's page and files.
    static let console: [String: OperationDescription] = [
        "getConsole": OperationDescription(
            "It holds no data: what the console shows it asks for as its user.",
            answers: [
                Answer(200, "The page.", [Content("text/html; charset=utf-8")], headers: [("ETag", "Its version.")]),
                Answer(304, "The browser has it already."),
            ],
            codes: [.notFound]),
        "getConsoleFile": OperationDescription(
            "The page names its version, the hash of all files: what has this version may be kept for good.",
            answers: [
                Answer(
                    200, "The file.",
                    ConsoleAssets.types.values.sorted().filter { !$0.contains("html") }.map { Content($0) })
            ],
            codes: [.notFound]),
    ]
}
