"""The names of the channels on which processes call each other."""

OUTBOX_CHANNEL = "chappe_outbox"
CONFIGURATION_CHANNEL = "chappe_configuration"
WEBHOOK_CHANNEL = "chappe_webhook"
