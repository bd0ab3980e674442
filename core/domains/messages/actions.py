"""What may be said to whom by an action: slack.post, slack.delete, mail.send."""

from core.domains.messages import mail, slack
from core.domains.messages.schemas import MailSend, SlackDelete, SlackPost
from core.integrations.resend.client import KEY_KEPT
from core.runtime.actions.kinds import ActionKind, Field, register

SLACK_POST, SLACK_DELETE, MAIL_SEND = "slack.post", "slack.delete", "mail.send"

register(
    ActionKind(
        SLACK_POST,
        "Slack message",
        "Post to Slack",
        "tag",
        SlackPost,
        slack.render_post,
        vendors=("slack",),
        send=slack.post,
        look_up=slack.find_post,
        undo_kind=SLACK_DELETE,
        undo_payload=slack.undo_post,
        fields=(Field("channel", "Channel"), Field("text", "Message", "text")),
        protected=("channel", "blocks"),
    )
)
register(
    ActionKind(
        SLACK_DELETE,
        "deletion of a Slack message",
        "Delete from Slack",
        "delete",
        SlackDelete,
        slack.render_delete,
        vendors=("slack",),
        send=slack.delete,
        look_up=slack.find_delete,
        protected=("channel", "ts"),
    )
)
register(
    ActionKind(
        MAIL_SEND,
        "mail",
        "Send the mail",
        "mail",
        MailSend,
        mail.render_mail,
        vendors=("resend", "smtp"),
        send=mail.send,
        # neither finds a mail by our key: what got no answer and has outlived its key is for a person to say
        key_valid_for={"resend": KEY_KEPT},
        fields=(
            Field("to", "To"),
            Field("subject", "Subject"),
            Field("text", "Text", "text"),
            Field("reply_to", "Replies go to"),
        ),
        protected=("to", "reply_to"),
    )
)
