internal import ApusCore
internal import ApusJSON
internal import ApusStore

extension OperationDescription {
    static let access: [String: OperationDescription] = [
        "listTokens": OperationDescription(
            "Expired and revoked ones too.",
            answers: [
                Answer(200, "The tokens made in the namespace, by name.", [.json(Schema.items(Schema.named("Token")))])
            ],
            codes: positionCodes),
        "createToken": OperationDescription(
            """
            A role without `@` holds in the namespace of the path. Nobody gives away a role that it does not hold, nor for longer \
            than its own token lasts. The name of a token that has ended may be given again.
            """,
            body: [.json(tokenOrder, example: ["name": "ci", "roles": ["deployer"], "expiresIn": "30d"])],
            answers: [Answer(201, "The token, this once.", [.json(Schema.named("NewToken"))], headers: positioned)],
            codes: controlCodes + [.invalidJSON, .alreadyExists]),
        "revokeToken": OperationDescription(
            "From the answer on no request with it is admitted; its open streams end within 5 s.",
            answers: [Answer(200, "It has ended.", [.json(Schema.named("Outcome"))], headers: positioned)],
            codes: controlCodes + [.notFound]),
        "getPrincipal": OperationDescription(
            answers: [Answer(200, "Whoever the token or the session belongs to.", [.json(Schema.named("Principal"))])]),
        "createLogin": OperationDescription(
            "Needs a token, not a session.",
            answers: [
                Answer(
                    201, "The path to open in a browser, within 60 s, once.",
                    [.json(Schema.object(["path": Schema.text, "expires": Schema.time]))])
            ]),
        "logIn": OperationDescription(
            "Sets the cookie `apus_session` (HttpOnly, SameSite=Strict) and goes on to the console. What does not hold is said as a page "
                + "where `Accept` has `text/html`.",
            parameters: [
                Parameter(
                    name: "code", place: .query, summary: "From the link of `apus console`.", schema: Schema.text,
                    isRequired: true)
            ],
            answers: [Answer(200, "The browser is logged in.", [Content("text/html; charset=utf-8")])],
            codes: [.notFound]),
        "logOut": OperationDescription(answers: [Answer(204, "The session has ended.")]),
    ]

    private static let tokenOrder = Schema.object(
        [
            "name": Schema.label,
            "roles": [
                "type": "array", "minItems": 1, "maxItems": .number(Limits.Control.rolesPerPrincipal),
                "items": Schema.text(
                    "reader@search",
                    pattern: "^(\(Role.allCases.map(\.rawValue).joined(separator: "|")))(@(\\*|[a-z0-9]+))?$"),
            ],
        ],
        optional: [
            "expiresIn": Schema.said(
                Schema.text("30d", pattern: "^[1-9][0-9]{0,2}[hd]$"), "From 1s to 3650d; without it for ever")
        ])
}
