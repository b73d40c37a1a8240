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
        "listAgents": OperationDescription(
            "Those whose token has ended too.",
            answers: [
                Answer(200, "The agents of the namespace, by name.", [.json(Schema.items(Schema.named("Agent")))])
            ],
            codes: positionCodes),
        "getAgent": OperationDescription(
            parameters: [position], answers: [Answer(200, "The agent.", [.json(Schema.named("Agent"))])],
            codes: positionCodes + [.notFound]),
        "putAgent": OperationDescription(
            "The body is the manifest, whose name is that of the path. A new agent has no token until it is rotated; one that is there keeps its.",
            parameters: [ifMatch], body: [.json(Schema.named("Manifest"), example: agentExample)],
            answers: [Answer(200, "What became of it.", [.json(Schema.named("Outcome"))], headers: positioned)],
            codes: controlCodes + deployCodes + [.alreadyExists]),
        "createAgent": OperationDescription(
            "An agent is a caller of its namespace. Without `servers` it reaches all tool servers there.",
            body: [
                .json(
                    agentOrder,
                    example: [
                        "name": "researcher", "servers": ["search"], "scopes": ["files:read"],
                        "limits": ["callsPerMinute": 60], "expiresIn": "30d",
                    ])
            ],
            answers: [
                Answer(
                    201, "The agent with its token, this once.", [.json(Schema.named("NewAgent"))], headers: positioned)
            ],
            codes: controlCodes + [.invalidJSON, .alreadyExists]),
        "rotateAgent": OperationDescription(
            "From the answer on the token of before is not admitted; rights and end stay. An agent that was deployed gets its first token so.",
            answers: [Answer(201, "The new token, this once.", [.json(Schema.named("NewAgent"))], headers: positioned)],
            codes: controlCodes + [.notFound]),
        "revokeAgent": OperationDescription(
            "From the answer on no request with its token is admitted; its open streams end within 5 s.",
            parameters: [ifMatch],
            answers: [Answer(200, "It has ended.", [.json(Schema.named("Outcome"))], headers: positioned)],
            codes: controlCodes + [.notFound]),
        "searchAudit": OperationDescription(
            "Oldest first; of an answer that is not at the end, `next` goes on as `after`.",
            parameters: [
                Parameter(
                    name: "principal", place: .query, summary: "Of this principal only.", schema: Schema.text,
                    isRequired: false),
                Parameter(
                    name: "subject", place: .query, summary: "About this only.", schema: Schema.text, isRequired: false),
                Parameter(
                    name: "decision", place: .query, summary: "allowed, refused or failed.", schema: Schema.text,
                    isRequired: false),
                Parameter(
                    name: "since", place: .query, summary: "From this time on.", schema: Schema.time, isRequired: false),
                Parameter(
                    name: "until", place: .query, summary: "Before this time.", schema: Schema.time, isRequired: false),
                Parameter(
                    name: "after", place: .query, summary: "Where the page before ended.", schema: Schema.text,
                    isRequired: false),
                Parameter(
                    name: "limit", place: .query, summary: "How many at most.", schema: Schema.count, isRequired: false),
                Parameter(
                    name: "exact", place: .query, summary: "Each record as text, to the byte.",
                    schema: ["type": "boolean"], isRequired: false),
            ],
            answers: [
                Answer(
                    200, "The records of the namespace.",
                    [
                        .json(
                            Schema.object([
                                "items": ["type": "array"], "next": Schema.text, "atEnd": ["type": "boolean"],
                            ]))
                    ])
            ],
            codes: positionCodes),
        "verifyAudit": OperationDescription(
            "Reads all records of all servers.",
            answers: [
                Answer(
                    200, "What was found.",
                    [
                        .json(
                            Schema.object([
                                "valid": ["type": "boolean"], "records": Schema.count, "omitted": Schema.count,
                                "findings": ["type": "array"],
                            ]))
                    ])
            ],
            codes: positionCodes),
        "getProtectedResource": protectedResource, "getProtectedResourceOfTools": protectedResource,
        "getProtectedResourceOfServer": protectedResource,
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

    private static let protectedResource = OperationDescription(
        "RFC 9728; needs no token.",
        answers: [
            Answer(
                200, "Where to ask for a token.",
                [
                    .json(
                        Schema.object([
                            "resource": Schema.text, "resource_name": Schema.text,
                            "authorization_servers": ["type": "array", "items": Schema.text],
                            "scopes_supported": ["type": "array", "items": Schema.text],
                            "bearer_methods_supported": ["type": "array", "items": Schema.text],
                        ]))
                ])
        ],
        codes: [.notFound])

    private static let agentExample: JSONValue = [
        "apiVersion": "apus.dev/v1", "kind": "Agent", "metadata": ["name": "researcher"],
        "spec": ["servers": ["search"], "scopes": ["files:read"], "limits": ["callsPerMinute": 60]],
    ]

    private static let agentOrder = Schema.object(
        ["name": Schema.label],
        optional: [
            "servers": ["type": "array", "maxItems": .number(Limits.Control.rightsPerAgent), "items": Schema.label],
            "scopes": ["type": "array", "maxItems": .number(Limits.Control.rightsPerAgent), "items": Schema.text],
            "limits": Schema.object(
                [:],
                optional: [
                    "callsPerMinute": Schema.count, "concurrent": Schema.count, "callsPerDay": Schema.count,
                    "budgetPerDay": Schema.said(["type": "number", "exclusiveMinimum": 0], "In the currency of `pool.prices`"),
                ]),
            "expiresIn": Schema.said(
                Schema.text("30d", pattern: "^[1-9][0-9]{0,2}[hd]$"), "From 1s to 3650d; without it for ever"),
        ])

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
