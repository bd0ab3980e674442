"""Names and sentences of the demo agency. Every company is invented; the people are the agency's own five."""

PEOPLE = (("Dave", "admin"), ("Brian", "engineering"), ("Dan", "delivery"), ("Tony", "sales"), ("Robert", "marketing"))
DOMAIN = "manageai.example"

# name, industry, plan, monthly retainer in dollars, health score, status
CLIENTS: tuple[tuple[str, str, str, int, int, str], ...] = (
    ("Cornerstone", "Real estate", "Scale", 7_500, 93, "active"),
    ("Northwind", "Wholesale", "Growth", 4_200, 81, "active"),
    ("Harborlight Logistics", "Logistics", "Scale", 8_900, 88, "active"),
    ("Juniper Dental Group", "Healthcare", "Growth", 3_800, 52, "at_risk"),
    ("Bluebarn Foods", "Food production", "Starter", 1_900, 90, "active"),
    ("Sable & Finch", "Interior design", "Starter", 0, 97, "active"),
    ("Ridgeway Legal", "Legal services", "Growth", 4_600, 76, "active"),
    ("Tallgrass Insurance", "Insurance", "Scale", 9_400, 58, "active"),
    ("Copperline HVAC", "Field service", "Growth", 3_200, 84, "active"),
    ("Maplewood Property", "Property management", "Starter", 1_600, 71, "active"),
    ("Quillworks Publishing", "Publishing", "Starter", 0, 66, "active"),
    ("Fernhill Clinics", "Healthcare", "Growth", 5_100, 86, "active"),
    ("Bright Anchor Marine", "Manufacturing", "Growth", 2_800, 47, "at_risk"),
)
QUIET_CLIENT = "Quillworks Publishing"
"""No ticket of theirs has moved for more than a month."""
TROUBLED_CLIENT = "Bright Anchor Marine"
"""Several of their deployments failed."""

ACCOUNT_FIRST = (
    "Amberfield", "Birchwood", "Cedar Gate", "Driftwood", "Eastmark", "Foxglove", "Granite Bay", "Hollowell", "Ironbridge",
    "Jetstream", "Kingfisher", "Lanternhill", "Meadowlark", "Nightingale", "Oakhurst", "Pinecrest", "Quarrystone", "Redleaf",
    "Silverbrook", "Thornbury", "Umberline", "Violet Creek", "Westerly", "Yellowtail",
)  # fmt: skip
ACCOUNT_LAST = (
    ("Logistics", "Logistics"), ("Dental", "Healthcare"), ("Foods", "Food production"), ("Insurance", "Insurance"),
    ("Law", "Legal services"), ("Property", "Property management"), ("Freight", "Logistics"), ("Clinics", "Healthcare"),
    ("Supply", "Wholesale"), ("Energy", "Energy"), ("Travel", "Travel"), ("Staffing", "Staffing"),
)  # fmt: skip
EMPLOYEES = (12, 25, 40, 60, 85, 120, 180, 240, 400)

# name, chance in percent, what a deal in it is
STAGES: tuple[tuple[str, int, str], ...] = (
    ("Lead", 10, "open"),
    ("Qualified", 25, "open"),
    ("Assessment", 45, "open"),
    ("Proposal", 60, "open"),
    ("Negotiation", 80, "open"),
    ("Won", 100, "won"),
    ("Lost", 0, "lost"),
)
# product, least and most a deal of it is worth in dollars
PRODUCTS: tuple[tuple[str, int, int], ...] = (
    ("Opportunity assessment", 2_500, 6_000),
    ("Workflow automation", 6_000, 28_000),
    ("AI teammate", 12_000, 45_000),
    ("Managed automations", 18_000, 72_000),
    ("AI blueprint", 9_000, 24_000),
)

# title, problem, solution, platform
BUILDS: tuple[tuple[str, str, str, str], ...] = (
    ("Invoice intake", "Invoices arrive by mail and are typed into the books by hand.",
     "A workflow reads each invoice, checks it against the order and books it; doubtful ones go to a person.", "make"),
    ("Lead routing", "New leads wait for hours until somebody forwards them.",
     "Each lead is enriched, scored and handed to the right person within minutes.", "n8n"),
    ("Contract drafting", "Standard contracts are copied from old ones, with old mistakes.",
     "Contracts are drafted from the deal's data and sent for signature after a check.", "make"),
    ("Appointment reminders", "Many appointments are missed because nobody reminds people.",
     "Reminders go out by text, and answers move the appointment in the calendar.", "zapier"),
    ("Order status updates", "Customers call to ask where their order is.",
     "Customers hear about each step of their order by themselves.", "n8n"),
    ("Supplier price watch", "Price changes of suppliers are noticed weeks late.",
     "Price lists are compared every night, and changes reach the buyer in the morning.", "n8n"),
    ("Review requests", "Happy customers are never asked for a review.",
     "A week after each job the customer gets a friendly request, once.", "zapier"),
    ("Timesheet collection", "Timesheets come late and in every format.",
     "Times are collected by chat each Friday and put into payroll.", "make"),
    ("Claims triage", "Every claim lands in one inbox, urgent or not.",
     "Claims are sorted by kind and urgency, and the urgent ones ring a bell.", "n8n"),
    ("Tenant requests", "Tenants write the same requests to five people.",
     "One form opens a job with the right contractor and keeps the tenant informed.", "make"),
    ("Meeting notes", "What was agreed in meetings is forgotten.",
     "Notes and tasks of each meeting are written up and filed with the client.", "zapier"),
    ("Stock alerts", "Shelves run empty before anybody orders.",
     "Stock is forecast from sales, and an order is proposed in time.", "n8n"),
    ("Onboarding checklist", "New customers wait while nobody knows whose turn it is.",
     "Each new customer gets a checklist that moves itself along.", "make"),
    ("Document search", "Finding a clause means asking the longest-serving colleague.",
     "Documents are indexed, and questions are answered with the page they come from.", "n8n"),
    ("Quote follow-up", "Quotes are sent and never heard of again.",
     "Open quotes are followed up politely until there is an answer.", "make"),
    ("Newsletter assembly", "The newsletter takes a full day every month.",
     "News is collected over the month and set in the template, ready to edit.", "zapier"),
    ("Payment reminders", "Overdue invoices are noticed at the end of the quarter.",
     "Reminders go out on the right day, friendly first and firmer later.", "make"),
    ("Shipment exceptions", "Delayed shipments surface when the customer complains.",
     "Carrier data is watched, and delays reach the dispatcher with a proposal.", "n8n"),
)  # fmt: skip

DEPLOY_ERRORS = (
    "The client's n8n refused the key: it has expired.",
    "Activation failed: the trigger node has no credential.",
    "The webhook of the scenario answered with an error.",
    "The workflow uses a node that is not installed at the client.",
)
AUTOMATION_ERRORS = (
    "The mailbox refused the sign-in.",
    "The target system did not answer in time.",
    "A required field was missing in the incoming form.",
)
RUN_FAILURES = (
    ("Unavailable", "The database does not answer.", "It was restarted; run the job again."),
    ("BadInput", "None of the facts of this job exist.", "Edit the job and choose the facts it may use."),
)
OLD_REPORT = (
    "This report belongs to the demo agency's past, so its text was not kept. "
    "The latest run of this job shows a full report with the rows behind every number."
)
