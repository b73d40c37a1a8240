internal import ApusCore

extension OperationDescription {
    /// The console's files, which differ in their type only.
    static let console: [String: OperationDescription] = Dictionary(
        uniqueKeysWithValues: ConsoleAsset.all().map { asset in
            (
                asset.operation,
                OperationDescription(
                    "It holds no data: what the console shows it asks for as its user.",
                    answers: [
                        Answer(200, "The file.", [Content(asset.type)], headers: [("ETag", "Its content's hash.")]),
                        Answer(304, "The browser has it already."),
                    ],
                    codes: [.notFound])
            )
        })
}
