"""Nothing leaves without authority: concurrent approvals, changes after approval, flips of the kill switch."""
