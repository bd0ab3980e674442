"""Work for people. There is none without a reason that justifies it; see `TaskReason`."""
