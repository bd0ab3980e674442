"""Who does something: a person, an API key, a schedule, an agent or the system itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """`label` is what the screen says ("Dave", "Sales AI"); `kind` is user, api, schedule, event, run or system."""

    label: str
    kind: str = "system"
    id: int | None = None

    @property
    def user_id(self) -> int | None:
        """The person's id when it is a person."""
        return self.id if self.kind == "user" else None


SYSTEM = Actor("System")
