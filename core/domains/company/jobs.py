"""The two reports to Dave: what matters this morning, and how the week went."""

from core.runtime.agents.specs import Intent, JobSpec, register

register(
    JobSpec(
        name="ceo-morning-brief",
        title="CEO Morning Brief",
        department="ceo",
        agent="Executive AI",
        cron="0 7 * * 1-5",
        task="""Write the brief that Dave reads in two minutes before his day starts.
1. Pipeline: how many deals are open, what they are worth, and what moved yesterday.
2. Build queue: what is in building, and what is overdue (more than 5 days).
3. Deployment health: did a deployment fail in the last 24 hours?
4. Client alerts: who needs attention?
5. Team capacity: open tickets per person.
Begin with what needs a decision. Keep it short.""",
        sections=(
            "crm.pipeline_summary",
            "delivery.build_queue",
            "delivery.deploy_health",
            "clients.alerts",
            "delivery.capacity",
        ),
        event_type="morning_brief",
        intents=(Intent("slack", "#leadership"),),
    )
)

register(
    JobSpec(
        name="weekly-ceo-report",
        title="Weekly CEO Report",
        department="ceo",
        agent="Executive AI",
        cron="0 8 * * 1",
        task="""Write last week's report on the company for Dave.
1. Deals: new ones, closed ones, and how the value of the pipeline changed against the week before.
2. Builds: tickets created, completed and deployed.
3. Revenue: the value of what is deployed, and the active retainer clients.
4. Team: who is busiest, and who has room for new work.
5. Wins: what was completed and deserves a word.
6. Risks: stalled deals, overdue builds, unhappy clients.""",
        sections=(
            "crm.week", "delivery.week", "delivery.value", "clients.retainers", "delivery.capacity", "company.wins",
            "company.risks",
        ),
        event_type="weekly_report",
        intents=(Intent("email", "dave@manageai.io"), Intent("slack", "#leadership")),
    )
)  # fmt: skip
