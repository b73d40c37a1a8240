import ApusCore
import ApusManifest
import ApusTestSupport
import ApusTools

/// Tools and questions made by rule from words written for the purpose: what a company's systems would offer, and how people ask for it.
///
/// A question seldom uses the words of the tool it means: its verb is mostly another one, its object is named as people name it half of the
/// time, and one in twelve is misspelled. A seed gives the same questions every time; their halves are told apart by it too.
struct SearchCorpus {
    struct Thing {
        let name: String
        let gloss: String
        /// How people call it.
        let alternates: [String]
        let properties: [String]
    }

    struct Act {
        let verb: String
        let sentence: String
        /// How people ask for it.
        let asked: [String]
    }

    struct Question {
        let text: String
        let tool: String
        let isHeldBack: Bool
    }

    var sources: [ToolCatalog.Source] = []
    var questions: [Question] = []

    init() throws {
        for domain in Self.domains {
            for thing in domain.things {
                for act in Self.acts { self.sources.append(try Self.source(domain.name, thing, act)) }
            }
        }
        var generator = SeededGenerator(seed: 7)
        func pick<Value>(_ values: [Value]) -> Value { values[Int(generator.next() % UInt64(values.count))] }
        for domain in Self.domains {
            for thing in domain.things {
                for _ in 0..<4 {
                    let act = pick(Self.acts)
                    let verb = generator.next() % 10 < 3 ? act.verb : pick(act.asked)
                    let object = generator.next() % 2 == 0 ? Self.spoken(thing.name) : pick(thing.alternates)
                    var text = pick(Self.openings) + verb.replacing("@", with: object)
                    if !verb.contains("@") { text += " " + pick(["the ", "a ", ""]) + object }
                    text += pick(Self.endings)
                    if generator.next() % 12 == 0 { text = Self.misspelled(text, &generator) }
                    self.questions.append(
                        Question(
                            text: text, tool: Self.name(thing, act), isHeldBack: self.questions.count % 2 == 1))
                }
            }
        }
    }

    static func name(_ thing: Thing, _ act: Act) -> String { "\(act.verb)_\(thing.name)" }

    private static func spoken(_ name: String) -> String { name.replacing("_", with: " ") }

    private static func source(_ domain: String, _ thing: Thing, _ act: Act) throws -> ToolCatalog.Source {
        let about = act.sentence.replacing("@", with: spoken(thing.name)) + " " + thing.gloss
        let properties = thing.properties.map { "\"\($0)\": {\"type\": \"string\"}" }.joined(separator: ", ")
        let label = (name(thing, act) + "-fn").replacing("_", with: "-")
        return try TestTools.source(
            name(thing, act), function: label, about: about, labels: ["domain": domain],
            input: "{\"type\": \"object\", \"properties\": {\(properties)}}")
    }

    /// Two letters of one long word change places.
    private static func misspelled(_ text: String, _ generator: inout SeededGenerator) -> String {
        var words = text.split(separator: " ").map(String.init)
        let long = words.indices.filter { words[$0].utf8.count >= 6 }
        guard let index = long.last else { return text }
        var letters = Array(words[index])
        let at = 2 + Int(generator.next() % UInt64(letters.count - 4))
        letters.swapAt(at, at + 1)
        words[index] = String(letters)
        return words.joined(separator: " ")
    }

    static let openings = ["", "", "I want to ", "please ", "can you ", "how do I ", "we need to ", "I'd like to "]
    static let endings = ["", "", "", " for me", " right now", " please", " from last week"]

    static let acts: [Act] = [
        Act(
            verb: "get", sentence: "Returns one @ with all its details.",
            asked: ["show me", "look up", "fetch", "open", "see the details of"]),
        Act(
            verb: "list", sentence: "Lists the @ records that there are, page by page.",
            asked: ["show all", "enumerate", "give me all", "browse", "overview of every"]),
        Act(
            verb: "search", sentence: "Searches @ records by words and filters.",
            asked: ["find", "look for", "locate", "query"]),
        Act(
            verb: "create", sentence: "Creates a new @.",
            asked: ["add", "make a new", "set up a", "register", "put in a new"]),
        Act(
            verb: "update", sentence: "Changes fields of an existing @.",
            asked: ["edit", "modify", "correct", "amend", "adjust", "alter"]),
        Act(
            verb: "delete", sentence: "Deletes a @ for good.",
            asked: ["remove", "get rid of", "erase", "drop", "throw away the"]),
        Act(
            verb: "archive", sentence: "Puts a @ away, so that it no longer shows up in lists.",
            asked: ["put @ away", "shelve", "file away"]),
        Act(
            verb: "export", sentence: "Writes @ records to a file, as CSV or JSON.",
            asked: ["download", "dump @ to a spreadsheet", "extract @ as csv", "save @ to a file"]),
        Act(
            verb: "share", sentence: "Gives others access to a @.",
            asked: ["give access to", "let a colleague see", "make @ visible to others"]),
        Act(
            verb: "approve", sentence: "Approves a @ that waits for a decision.",
            asked: ["accept", "sign off", "confirm", "give the ok for"]),
        Act(
            verb: "count", sentence: "Counts @ records, grouped as wanted.",
            asked: ["how many @ are there", "number of", "total of", "tally"]),
        Act(
            verb: "notify", sentence: "Sends a notification about a @ to the people concerned.",
            asked: ["alert people about", "remind everyone of", "tell the team about", "send a message about"]),
    ]

    static let domains: [(name: String, things: [Thing])] = [
        (
            "finance",
            [
                Thing(
                    name: "invoice", gloss: "An invoice is a bill that a customer is to pay.",
                    alternates: ["bill", "customer bill"], properties: ["invoice_number", "customer", "amount"]),
                Thing(
                    name: "payment", gloss: "A payment is money that came in or went out.",
                    alternates: ["charge", "money transfer"], properties: ["amount", "currency", "method"]),
                Thing(
                    name: "expense_report", gloss: "It lists what an employee spent on a trip, with receipts.",
                    alternates: ["travel expenses", "spending receipts"], properties: ["employee", "receipts", "total"]),
                Thing(
                    name: "budget", gloss: "A budget says how much a department may spend in a period.",
                    alternates: ["spending limit of a department", "department budget"],
                    properties: ["department", "period", "limit"]),
                Thing(
                    name: "tax_form", gloss: "Tax forms go to the authorities each year.",
                    alternates: ["tax declaration", "form for the tax authorities"], properties: ["year", "country"]),
                Thing(
                    name: "ledger_entry", gloss: "A ledger entry books an amount on two accounts.",
                    alternates: ["booking in the ledger", "accounting entry"], properties: ["debit", "credit", "date"]),
                Thing(
                    name: "bank_account", gloss: "An account at a bank, with its IBAN.",
                    alternates: ["iban", "account at the bank"], properties: ["iban", "owner"]),
            ]
        ),
        (
            "people",
            [
                Thing(
                    name: "employee", gloss: "Somebody who works for the company.",
                    alternates: ["staff member", "colleague"], properties: ["first_name", "last_name", "hire_date"]),
                Thing(
                    name: "leave_request", gloss: "With it somebody asks for days off, vacation or sick leave.",
                    alternates: ["vacation request", "holiday", "days off"],
                    properties: ["from_date", "to_date", "kind"]),
                Thing(
                    name: "job_posting", gloss: "A vacancy that people outside can apply for.",
                    alternates: ["vacancy", "open position"], properties: ["title", "department", "salary_range"]),
                Thing(
                    name: "candidate", gloss: "An applicant for a vacancy, with a CV.",
                    alternates: ["applicant", "job applicant"], properties: ["cv", "stage"]),
                Thing(
                    name: "payslip", gloss: "What an employee earned in a month: salary, tax and deductions.",
                    alternates: ["salary statement", "monthly pay"], properties: ["month", "gross", "net"]),
                Thing(
                    name: "performance_review", gloss: "The yearly talk about how somebody does, with goals.",
                    alternates: ["yearly review", "appraisal with goals"], properties: ["reviewer", "goals", "rating"]),
                Thing(
                    name: "training_course", gloss: "A course where staff learn something.",
                    alternates: ["course", "staff training"], properties: ["trainer", "seats"]),
            ]
        ),
        (
            "support",
            [
                Thing(
                    name: "ticket", gloss: "A ticket holds a question or problem of a customer.",
                    alternates: ["support case", "customer problem"], properties: ["subject", "priority", "requester"]),
                Thing(
                    name: "canned_reply", gloss: "A text that agents use again and again to answer.",
                    alternates: ["reply template", "prepared answer"], properties: ["text", "language"]),
                Thing(
                    name: "satisfaction_survey", gloss: "Asks customers how content they were.",
                    alternates: ["customer feedback survey", "how happy customers are"],
                    properties: ["score", "comment"]),
                Thing(
                    name: "knowledge_article", gloss: "An article of the help center.",
                    alternates: ["help center article", "faq article"], properties: ["title", "body"]),
                Thing(
                    name: "service_outage", gloss: "A time in which a service did not work.",
                    alternates: ["downtime", "outage"], properties: ["service", "start", "end"]),
                Thing(
                    name: "chat_session", gloss: "A live conversation between a visitor and an agent.",
                    alternates: ["live chat", "conversation with a visitor"], properties: ["visitor", "agent"]),
            ]
        ),
        (
            "code",
            [
                Thing(
                    name: "pull_request", gloss: "A proposed change of code that others review and merge.",
                    alternates: ["merge request", "PR", "proposed code change"],
                    properties: ["branch", "reviewers", "title"]),
                Thing(
                    name: "repository", gloss: "Where the source code of a project lives, in git.",
                    alternates: ["git repo", "code repository"], properties: ["owner", "visibility"]),
                Thing(
                    name: "code_review", gloss: "Remarks of a reviewer about changed lines.",
                    alternates: ["reviewer remarks", "review of code"], properties: ["reviewer", "lines"]),
                Thing(
                    name: "release", gloss: "A version that is published, with notes and binaries.",
                    alternates: ["published version", "release notes"], properties: ["tag", "notes"]),
                Thing(
                    name: "build_pipeline", gloss: "Compiles and tests each commit in CI.",
                    alternates: ["CI pipeline", "build job"], properties: ["commit", "stages"]),
                Thing(
                    name: "branch", gloss: "A line of commits in git.", alternates: ["git branch", "line of commits"],
                    properties: ["base", "head"]),
                Thing(
                    name: "issue_label", gloss: "A coloured word on bugs and issues of a project.",
                    alternates: ["label of bugs", "issue tag"], properties: ["color"]),
            ]
        ),
        (
            "cloud",
            [
                Thing(
                    name: "virtual_machine", gloss: "A server in the cloud, with CPU and memory.",
                    alternates: ["VM", "cloud server", "instance in the cloud"], properties: ["image", "cpu", "memory"]),
                Thing(
                    name: "storage_bucket", gloss: "Holds objects and files in the cloud.",
                    alternates: ["bucket", "object storage"], properties: ["region", "class"]),
                Thing(
                    name: "dns_record", gloss: "Tells which address a domain name has.",
                    alternates: ["domain name entry", "dns entry"], properties: ["zone", "type", "value"]),
                Thing(
                    name: "firewall_rule", gloss: "Allows or blocks traffic of a network by port.",
                    alternates: ["network traffic rule", "port blocking rule"], properties: ["port", "source"]),
                Thing(
                    name: "database_backup", gloss: "A snapshot of a database to return to.",
                    alternates: ["database snapshot", "db backup"], properties: ["database", "taken"]),
                Thing(
                    name: "ssl_certificate", gloss: "Proves who a web site is; it expires.",
                    alternates: ["tls certificate", "https certificate"], properties: ["domain", "expires"]),
                Thing(
                    name: "container_image", gloss: "A Docker image in the registry.",
                    alternates: ["docker image", "image of the registry"], properties: ["tag", "digest"]),
            ]
        ),
        (
            "shop",
            [
                Thing(
                    name: "order", gloss: "What a customer bought, with its items and address.",
                    alternates: ["purchase", "customer order"], properties: ["items", "delivery_address"]),
                Thing(
                    name: "product", gloss: "An article of the catalogue, with price and pictures.",
                    alternates: ["article of the catalogue", "item for sale"], properties: ["sku", "price"]),
                Thing(
                    name: "shipment", gloss: "A parcel on its way to a customer, with a tracking number.",
                    alternates: ["parcel", "package", "tracking number"], properties: ["carrier", "tracking"]),
                Thing(
                    name: "return_request", gloss: "A customer sends goods back and wants a refund.",
                    alternates: ["refund", "goods sent back"], properties: ["reason", "order"]),
                Thing(
                    name: "discount_code", gloss: "A coupon that makes an order cheaper.",
                    alternates: ["coupon", "voucher"], properties: ["percent", "expires"]),
                Thing(
                    name: "stock_level", gloss: "How many pieces of an article lie in a warehouse.",
                    alternates: ["inventory", "warehouse quantity"], properties: ["warehouse", "pieces"]),
                Thing(
                    name: "product_rating", gloss: "Stars and words of buyers about an article.",
                    alternates: ["stars of buyers", "buyer review"], properties: ["stars"]),
            ]
        ),
        (
            "office",
            [
                Thing(
                    name: "calendar_event", gloss: "A meeting or appointment in somebody's calendar.",
                    alternates: ["meeting", "appointment"], properties: ["start", "attendees"]),
                Thing(
                    name: "email", gloss: "A message in a mailbox.", alternates: ["mail", "message in the mailbox"],
                    properties: ["to", "subject"]),
                Thing(
                    name: "document", gloss: "A text or sheet that several people write together.",
                    alternates: ["text document", "doc"], properties: ["title", "folder"]),
                Thing(
                    name: "meeting_room", gloss: "A room of a building that can be booked.",
                    alternates: ["conference room", "room in the building"], properties: ["building", "seats"]),
                Thing(
                    name: "contact", gloss: "An entry of the address book with phone and mail.",
                    alternates: ["address book entry", "phone number of a person"], properties: ["phone", "company"]),
                Thing(
                    name: "note", gloss: "A short text to remember something.", alternates: ["memo", "short text"],
                    properties: ["text"]),
                Thing(
                    name: "task", gloss: "Something to do until a date.", alternates: ["todo", "to-do item"],
                    properties: ["due", "assignee"]),
                Thing(
                    name: "presentation", gloss: "Slides to be shown in a talk.", alternates: ["slides", "slide deck"],
                    properties: ["slides", "theme"]),
            ]
        ),
        (
            "health",
            [
                Thing(
                    name: "patient", gloss: "Somebody who is treated in the clinic.",
                    alternates: ["person treated in the clinic", "sick person"],
                    properties: ["birth_date", "insurance"]),
                Thing(
                    name: "prescription", gloss: "Says which medicine a patient gets, and how much.",
                    alternates: ["medicine", "medication order"], properties: ["drug", "dose"]),
                Thing(
                    name: "lab_result", gloss: "What the laboratory found in blood or other samples.",
                    alternates: ["blood test", "laboratory finding"], properties: ["sample", "values"]),
                Thing(
                    name: "vaccination", gloss: "A shot against an illness, with its date.",
                    alternates: ["shot against an illness", "vaccine"], properties: ["vaccine", "date"]),
                Thing(
                    name: "x_ray_image", gloss: "A radiology picture of bones or lungs.",
                    alternates: ["radiology picture", "picture of bones"], properties: ["body_part"]),
                Thing(
                    name: "referral", gloss: "Sends a patient to a specialist.",
                    alternates: ["specialist letter", "sending a patient to a specialist"], properties: ["specialist"]),
            ]
        ),
        (
            "travel",
            [
                Thing(
                    name: "flight", gloss: "A plane from one airport to another at a time.",
                    alternates: ["plane", "airline connection"], properties: ["origin", "destination"]),
                Thing(
                    name: "hotel_booking", gloss: "A room in a hotel for some nights.",
                    alternates: ["hotel room", "hotel reservation"], properties: ["nights", "guests"]),
                Thing(
                    name: "train_ticket", gloss: "Lets somebody ride a train, with a seat.",
                    alternates: ["rail ticket", "seat on a train"], properties: ["class", "seat"]),
                Thing(
                    name: "rental_car", gloss: "A car that is hired for some days.",
                    alternates: ["hired car", "car hire"], properties: ["pickup", "category"]),
                Thing(
                    name: "itinerary", gloss: "The whole plan of a journey, day by day.",
                    alternates: ["plan of a journey", "trip plan"], properties: ["days"]),
                Thing(
                    name: "visa_application", gloss: "Asks a country to be let in.",
                    alternates: ["visa", "request to enter a country"], properties: ["country", "passport"]),
            ]
        ),
        (
            "factory",
            [
                Thing(
                    name: "work_order", gloss: "Tells a production line what to make and how many.",
                    alternates: ["production order", "what the line makes"], properties: ["line", "quantity"]),
                Thing(
                    name: "machine_sensor", gloss: "Measures temperature or vibration of a machine.",
                    alternates: ["temperature sensor", "vibration measurement"], properties: ["machine", "unit"]),
                Thing(
                    name: "maintenance_plan", gloss: "Says when machines are serviced and by whom.",
                    alternates: ["servicing of machines", "maintenance"], properties: ["interval", "technician"]),
                Thing(
                    name: "quality_check", gloss: "An inspection of parts, with defects found.",
                    alternates: ["inspection of parts", "defects"], properties: ["defects", "part"]),
                Thing(
                    name: "supplier", gloss: "A company that raw material is bought from.",
                    alternates: ["vendor", "company that sells us material"], properties: ["country", "rating"]),
                Thing(
                    name: "safety_incident", gloss: "An accident at work, or nearly one.",
                    alternates: ["accident at work", "work injury"], properties: ["place", "severity"]),
            ]
        ),
        (
            "media",
            [
                Thing(
                    name: "photo_album", gloss: "Pictures that belong together.",
                    alternates: ["album of pictures", "photos"], properties: ["cover"]),
                Thing(
                    name: "video", gloss: "A film clip with sound and subtitles.",
                    alternates: ["film clip", "movie clip"], properties: ["length", "subtitles"]),
                Thing(
                    name: "podcast_episode", gloss: "One part of a series to listen to.",
                    alternates: ["audio episode", "podcast"], properties: ["series", "guests"]),
                Thing(
                    name: "playlist", gloss: "Songs in an order.", alternates: ["songs", "list of songs"],
                    properties: ["songs"]),
                Thing(
                    name: "blog_post", gloss: "An entry of the company's blog.",
                    alternates: ["blog entry", "article on the blog"], properties: ["author", "tags"]),
                Thing(
                    name: "ad_campaign", gloss: "Advertisements with a budget and an audience.",
                    alternates: ["advertising campaign", "advertisement"], properties: ["audience", "budget"]),
            ]
        ),
        (
            "school",
            [
                Thing(
                    name: "student", gloss: "A pupil enrolled in a school.", alternates: ["pupil", "enrolled child"],
                    properties: ["grade", "guardian"]),
                Thing(
                    name: "exam", gloss: "A test that is graded.", alternates: ["graded test", "examination"],
                    properties: ["subject", "date"]),
                Thing(
                    name: "homework", gloss: "An assignment to be done at home.",
                    alternates: ["assignment to do at home", "home assignment"], properties: ["due"]),
                Thing(
                    name: "timetable", gloss: "Which lesson is when and where.",
                    alternates: ["lesson plan of the week", "when lessons are"], properties: ["week"]),
                Thing(
                    name: "library_loan", gloss: "A book that somebody borrowed.",
                    alternates: ["borrowed book", "book loan"], properties: ["book", "due"]),
                Thing(
                    name: "school_fee", gloss: "Money that parents pay for a term.",
                    alternates: ["tuition", "money parents pay"], properties: ["term"]),
            ]
        ),
        (
            "city",
            [
                Thing(
                    name: "parking_permit", gloss: "Lets a resident park a car in a zone.",
                    alternates: ["permission to park", "resident parking"], properties: ["zone", "plate"]),
                Thing(
                    name: "building_permit", gloss: "Lets somebody build or change a house.",
                    alternates: ["permission to build", "construction permit"], properties: ["parcel"]),
                Thing(
                    name: "street_light", gloss: "A lamp at a road, which may be broken.",
                    alternates: ["lamp at the road", "broken lamp"], properties: ["street"]),
                Thing(
                    name: "waste_collection", gloss: "When garbage bins are emptied.",
                    alternates: ["garbage bins", "rubbish pickup"], properties: ["district"]),
                Thing(
                    name: "bus_route", gloss: "A line of public transport with its stops.",
                    alternates: ["bus line", "public transport stops"], properties: ["stops"]),
                Thing(
                    name: "citizen_complaint", gloss: "What a citizen finds wrong in the city.",
                    alternates: ["complaint", "complaint of a resident"], properties: ["topic"]),
            ]
        ),
    ]
}
